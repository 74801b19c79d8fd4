"""The brokers that are compared, as the tests see them: through environment variables."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.servers.daemon import ROOT
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer

#: Names the server that `tests.compat.settings` has its channel layers on.
LAYER_URL = "CQ_COMPAT_REDIS_URL"
#: Has, as JSON, the entry of DATABASES for the rows, if tasks are rows.
DATABASE = "CQ_COMPAT_DATABASE"
SETTINGS = "tests.compat.settings"
#: The folder with the name of the backend `cq` for tests that ask for a Redis server.
BESIDE = Path(__file__).parent / "beside"


@dataclass(frozen=True)
class Broker:
    """A broker URL's scheme and the pytest plugins that it needs.

    `keeps_rows` keeps every task, with its result, in a database; else the results are in Redis.
    """

    name: str
    scheme: str
    plugins: tuple[str, ...] = ()
    keeps_rows: bool = False

    def url(self, server: RedisServer) -> str:
        """Return the broker URL on a server."""
        return server.url if self.scheme == "redis" else f"{self.scheme}://"

    def environment(
        self, server: RedisServer, database: PostgresServer | None = None
    ) -> dict[str, str]:
        """Return the environment of a pytest process."""
        variables = {
            # `celery`, which some tests start, is that of this interpreter.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(ROOT),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "TEST_BROKER": self.url(server),
            "TEST_BACKEND": server.url,
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(server.port),
        }
        if self.scheme == "channels":
            variables |= {"DJANGO_SETTINGS_MODULE": SETTINGS, LAYER_URL: server.url}
        if database is not None:
            variables |= {
                "PYTHONPATH": os.pathsep.join([str(ROOT), str(BESIDE)]),
                "TEST_BACKEND": "redis_beside_rows:CqBackend",
                DATABASE: json.dumps(database.django()),
            }
        kept = {name: value for name, value in os.environ.items() if "DJANGO" not in name}
        return {**kept, **variables}


#: The yardstick runs without Django, as Celery's own runs do.
REDIS = Broker("redis", "redis")
CHANNELS = Broker("channels", "channels", plugins=("tests.compat.registered",))
#: The same with every task and its result in PostgreSQL.
ROWS = Broker("rows", "channels", plugins=("tests.compat.set_up",), keeps_rows=True)
BROKERS = (REDIS, CHANNELS)
