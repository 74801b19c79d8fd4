"""The two brokers that are compared, as the tests see them: through environment variables."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.servers.daemon import ROOT
from tests.servers.redis import RedisServer

#: Names the server that `tests.compat.settings` has its channel layers on.
LAYER_URL = "CQ_COMPAT_REDIS_URL"
SETTINGS = "tests.compat.settings"


@dataclass(frozen=True)
class Broker:
    """A broker URL's scheme and the pytest plugins that it needs."""

    scheme: str
    plugins: tuple[str, ...] = ()

    def url(self, server: RedisServer) -> str:
        """Return the broker URL on a server."""
        return server.url if self.scheme == "redis" else f"{self.scheme}://"

    def environment(self, server: RedisServer) -> dict[str, str]:
        """Return the environment of a pytest process; the result backend is Redis for both."""
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
        kept = {name: value for name, value in os.environ.items() if "DJANGO" not in name}
        return {**kept, **variables}


#: The yardstick runs without Django, as Celery's own runs do.
REDIS = Broker("redis")
CHANNELS = Broker("channels", plugins=("tests.compat.registered",))
BROKERS = (REDIS, CHANNELS)
