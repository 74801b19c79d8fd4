"""Bodies of every kind: each serializer and compression, large, binary and signed ones."""

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from celery import Celery

from tests.acceptance.tasks import call
from tests.servers.certificates import make_certificate
from tests.servers.project import Project
from tests.servers.redis import RedisServer
from tests.servers.worker import CeleryWorker

SERIALIZERS = ("json", "pickle", "yaml", "msgpack")
SETTINGS = {
    "CELERY_ACCEPT_CONTENT": SERIALIZERS,
    "environment": {"C_FORCE_ROOT": "1"},  # Celery refuses pickle to root otherwise
}
PAYLOAD = {"text": "größer € 🐇", "number": 2**53, "nested": [1, None, {"a": [True, 1.5]}]}


@pytest.fixture(scope="module", autouse=True)
def worker(shared: Project) -> Iterator[CeleryWorker]:
    with shared.worker("--pool=solo") as worker:
        yield worker


@pytest.mark.parametrize("compression", [None, "gzip", "bzip2", "lzma"])
@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_serializers(app: Celery, serializer: str, compression: str | None) -> None:
    echoed = call(app, "echo", PAYLOAD, serializer=serializer, compression=compression)

    assert echoed == PAYLOAD


@pytest.mark.parametrize("serializer", ["pickle", "msgpack"])
def test_binary_body(app: Celery, serializer: str) -> None:
    assert call(app, "length", bytes(range(256)) * 4, serializer=serializer) == 1024


@pytest.mark.parametrize("serializer", ["json", "pickle", "msgpack"])  # YAML takes half a minute
def test_large_body(app: Celery, serializer: str) -> None:
    assert call(app, "length", "é" * 5_000_000, serializer=serializer) == 5_000_000


def test_headers_arrive(app: Celery) -> None:
    headers = {"tenant": "größer", "flags": [1, None], "when": datetime.now(timezone.utc)}
    described = call(app, "describe", headers=headers)

    assert {name: described["headers"][name] for name in headers} == headers


def test_refused_content_is_dropped(app: Celery, worker: CeleryWorker) -> None:
    with app.connection_for_write() as connection:
        connection.Producer().publish(b"<task/>", routing_key="celery", content_type="text/xml")

    assert call(app, "add", 1, 1) == 2
    worker.wait_log("Can't decode message body: ContentDisallowed")


SIGNED = """
import django; django.setup()
from tests.project.signed import app
print(app.send_task("tests.project.tasks.add", (20, 22)).get(timeout=30))
app.send_task("tests.project.tasks.add", (1, 2), serializer="json")
"""


def test_signed_messages(tmp_path: Path, redis_server: RedisServer) -> None:
    certificate = make_certificate(tmp_path, rsa_key=True)
    project = Project.on_redis(
        tmp_path,
        redis_server,
        config={"prefix": "signed"},
        CELERY_TASK_SERIALIZER="auth",
        CELERY_EVENT_SERIALIZER="auth",
        CELERY_ACCEPT_CONTENT=["auth"],
        CELERY_RESULT_ACCEPT_CONTENT=["json"],
        CELERY_SECURITY_KEY=str(certificate.key),
        CELERY_SECURITY_CERTIFICATE=str(certificate.certificate),
        CELERY_SECURITY_CERT_STORE=str(tmp_path / "*.crt"),
    )
    with project.worker("--pool=solo", app="tests.project.signed") as worker:
        assert project.python("-c", SIGNED).stdout.strip() == "42"
        worker.wait_log("ContentDisallowed")
