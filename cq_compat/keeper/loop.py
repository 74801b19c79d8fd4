"""A thread that does duties when they are due."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from time import monotonic

from kombu.log import get_logger

from cq_compat.database import OwnConnection
from cq_compat.keeper.duty import Duty

logger = get_logger(__name__)


class Loop:
    """Does duties in their order, each when its time has come; a failure leaves the others alone.

    Args:
        name: the name of the thread.
        duties: returns the duties that there are now.
        connection: what they write on; begun anew after a failure.
    """

    def __init__(
        self, name: str, duties: Callable[[], Sequence[Duty]], connection: OwnConnection
    ) -> None:
        self._name = name
        self._duties = duties
        self._connection = connection
        self._since: dict[int, float] = {}
        self._failing: set[int] = set()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def run_once(self) -> float:
        """Do every duty whose time has come; return the seconds until the next one."""
        for duty in self._duties():
            if self._wait(duty) <= 0.0:
                again = self._do(duty)
                self._since[id(duty)] = 0.0 if again else monotonic()
        return max(0.0, min(self._wait(duty) for duty in self._duties()))

    def _wait(self, duty: Duty) -> float:
        since = self._since.get(id(duty), 0.0)
        return since + duty.interval - monotonic() if since else 0.0

    def _run(self) -> None:
        while not self._stopped.wait(self.run_once()):
            pass

    def _do(self, duty: Duty) -> bool:
        try:
            again = duty.run_once()
        except Exception as exc:  # the other duties, and the next attempt, need this thread
            self._note_failure(duty, exc)
            return False
        self._failing.discard(id(duty))
        return again

    def _note_failure(self, duty: Duty, exc: Exception) -> None:
        self._connection.close()
        if id(duty) not in self._failing:
            self._failing.add(id(duty))
            logger.warning("%s has failed and goes on trying: %s", type(duty).__name__, exc)
