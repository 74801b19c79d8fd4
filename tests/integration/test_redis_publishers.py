"""A publishing process never hangs, and what it has accepted outlives its end."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from kombu.exceptions import OperationalError

from tests.servers.project import Project
from tests.servers.proxy import Proxy
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.integration

BURST = """
import os, sys
import django
django.setup()
from tests.project.tasks import noop
if sys.argv[2] == "fork" and not os.fork():
    noop.delay()
if sys.argv[2] == "child":
    import billiard
    child = billiard.Process(target=lambda: [noop.delay() for _ in range(int(sys.argv[1]))])
    child.start()
    child.join()
else:
    for _ in range(int(sys.argv[1])):
        noop.delay()
if sys.argv[2] == "fork":
    try:
        os.wait()
    except ChildProcessError:
        pass
"""


@pytest.mark.parametrize(("kind", "expected"), [("alone", 500), ("child", 500), ("fork", 1001)])
def test_a_burst_outlives_its_process(
    kind: str, expected: int, project: Project, clean_redis: RedisServer
) -> None:
    project.python("-W", "ignore", "-c", BURST, "500", kind)
    with clean_redis.client() as client:
        assert client.zcard("asgi" + _celery_channel(client)) == expected


def test_threads_learn_of_an_absence_and_publish_again(
    project: Project, own_redis: RedisServer, settings: Any
) -> None:
    with Proxy(own_redis.socket) as proxy:
        settings.CHANNEL_LAYERS = project.settings["CHANNEL_LAYERS"] = {
            "default": {
                "BACKEND": "channels_redis.core.RedisChannelLayer",
                "CONFIG": {"hosts": [proxy.redis_url], "capacity": 1000, "expiry": 3600},
            }
        }
        with project.app() as app, own_redis.client() as client:
            app.conf.task_ignore_result = True
            results = _publish_in_threads(app)
            assert results == [None] * 8
            proxy.cut()
            proxy.stop()

            def learn() -> bool:  # what a burst has written before that is kept until it is sent
                errors = _publish_in_threads(app)
                results.extend(errors)
                return all(isinstance(error, OperationalError) for error in errors)

            wait_until(learn, what="an error in each thread")
            proxy.start()
            results += _publish_in_threads(app)
            assert results[-8:] == [None] * 8
            channel = "asgi" + _celery_channel(client)
            wait_until(
                lambda: client.zcard(channel) == results.count(None),
                what="every message that was accepted, once",
            )


def _publish_in_threads(app: Any) -> list[BaseException | None]:
    results: list[BaseException | None] = []

    def publish() -> None:
        try:
            app.send_task("tests.project.tasks.noop")
            results.append(None)
        except Exception as exc:
            results.append(exc)

    threads = [threading.Thread(target=publish, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == len(threads), "a publisher hangs"
    return results


def _celery_channel(client: Any) -> str:
    names = [key.decode() for key in client.keys("asgi*") if client.type(key) == b"zset"]
    found = [name for name in names if ":" not in name and "celery" in name]
    assert len(found) == 1, names
    return str(found[0].removeprefix("asgi"))
