"""How the tests are spread over several processes: which stay together, and which begin."""

import re

from xdist.scheduler import LoadScopeScheduling

#: The kinds of tests, those with the longest cases first, so that none of these begins last.
ORDER = ("chaos", "acceptance", "integration", "browser", "conformance", "unit")
#: Modules of other folders that take as long as the longest of these.
LONG = ("test_postgres_faults", "test_names", "test_protocol_model")
#: Modules whose cases share nothing.
LOOSE = ("guide/test_pages", "test_competing", "test_demo", "acceptance/test_layers")
#: Modules whose cases share a worker of each pool.
POOLED = ("test_redis_outages", "test_pools")
POOL = re.compile(r"\[(prefork|solo|threads|gevent|eventlet)\b")


def begins(nodeid: str) -> int:
    """Return the place of a test among those that are run at once: the lower begin earlier."""
    module = nodeid.partition(".py::")[0]
    return 0 if module.endswith(LONG) else ORDER.index(nodeid.split("/")[1])


def together(nodeid: str) -> str:
    """Return what the ids of the tests that one process has to run have in common."""
    module = nodeid.partition(".py::")[0]
    if module.endswith(LOOSE):
        return nodeid
    pool = POOL.search(nodeid) if module.endswith(POOLED) else None
    return f"{module}[{pool[1]}]" if pool else module


class Spread(LoadScopeScheduling):
    """The order of the tests, in units that share their fixtures."""

    def _split_scope(self, nodeid: str) -> str:
        return together(nodeid)
