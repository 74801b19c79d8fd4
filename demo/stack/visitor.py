"""A visitor without a browser: presses the buttons of the page and reads its websocket."""

import json
import socket
import time
import uuid
from collections import Counter
from collections.abc import Callable
from http.cookiejar import CookieJar
from types import TracebackType
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPCookieProcessor, ProxyHandler, Request, build_opener

from websockets.sync.client import connect
from websockets.typing import Origin

from demo.stack.errors import DemoError

SECONDS = 60  # for each thing that is waited for
TOKEN = "cq_demo_csrf"  # the cookie

Board = dict[str, Any]
T = TypeVar("T")


class Visitor:
    """One visit; `turn` is called again and again while the visitor waits."""

    def __init__(self, url: str, turn: Callable[[], None]) -> None:
        self.url = url
        self.turn = turn
        self.board: Board = {}

    def __enter__(self) -> "Visitor":
        cookies = CookieJar()
        self._opener = build_opener(ProxyHandler({}), HTTPCookieProcessor(cookies))
        self.get("")
        self._token = next((cookie.value for cookie in cookies if cookie.name == TOKEN), None)
        address = urlsplit(self.url)
        self._socket = connect(
            f"ws://{address.netloc}/live/",
            origin=Origin(self.url.rstrip("/")),
            sock=socket.create_connection((address.hostname, address.port)),  # past any proxy
        )
        return self

    def get(self, path: str) -> bytes:
        """Fetch a page or a file."""
        with self._opener.open(self.url + path, timeout=SECONDS) as answer:
            return bytes(answer.read())

    def press(self, path: str, **values: str | bytes) -> int:
        """Send a form, files as bytes, and return the status of the answer."""
        body, content_type = _multipart(values)
        headers = {"Content-Type": content_type, "X-CSRFToken": self._token or ""}
        request = Request(self.url + path, body, headers)
        try:
            with self._opener.open(request, timeout=SECONDS) as answer:
                json.loads(answer.read())
                return int(answer.status)
        except HTTPError as error:
            return error.code

    def wait(
        self,
        condition: Callable[[Board], T | None],
        progress: Callable[[Board], int] = lambda board: 0,
    ) -> T:
        """Return the first true value of the condition, asked with every new board.

        Raises:
            DemoError: there is none for too long, counted from the last change of the progress.
        """
        deadline, reached = time.monotonic() + SECONDS, 0
        while time.monotonic() < deadline:
            self.turn()
            try:
                self.board = json.loads(self._socket.recv(timeout=1))
            except TimeoutError:
                continue
            if value := condition(self.board):
                return value
            if (now_reached := progress(self.board)) != reached:
                deadline, reached = time.monotonic() + SECONDS, now_reached
        raise DemoError(f"nothing came of it in {SECONDS} s; the page shows {self._counts()}")

    def _counts(self) -> str:
        queues = {queue["name"]: queue["length"] for queue in self.board.get("queues", [])}
        tasks = Counter(f"{task['name']} {task['state']}" for task in self.board.get("tasks", []))
        return f"queues {queues}, parcels {self.board.get('parcels')}, last tasks {dict(tasks)}"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()


def _multipart(values: dict[str, str | bytes]) -> tuple[bytes, str]:
    boundary = uuid.uuid4().hex
    parts = []
    for name, value in values.items():
        is_file = isinstance(value, bytes)
        file_name = '; filename="a <b>picture</b>.png"' if is_file else ""
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file_name}\r\n\r\n'
        content = value if isinstance(value, bytes) else value.encode()
        parts.append(head.encode() + content + b"\r\n")
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"
