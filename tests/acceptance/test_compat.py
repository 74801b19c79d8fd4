"""kombu's own tests and Celery's example project pass over `channels://` as over `redis://`.

`make compat` adds Celery's integration tests, which take longer.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest

from tests.compat.brokers import BROKERS
from tests.compat.report import compare
from tests.compat.run import Run
from tests.compat.suites import Suite, example, kombu

SUITES = (kombu(), example())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Sequence[Run]]]:
    """All of them at once: they wait most of the time."""
    folder = tmp_path_factory.mktemp("compat")
    with ExitStack() as stack:
        yield {
            suite.name: [stack.enter_context(Run(suite, broker, folder)) for broker in BROKERS]
            for suite in SUITES
        }


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_nothing_fails_over_channels_alone(runs: dict[str, Sequence[Run]], suite: Suite) -> None:
    redis, channels = (run.results() for run in runs[suite.name])
    rows = compare(redis, channels, suite.row)

    assert [row.only_channels for row in rows if row.only_channels] == []
    assert all(row.passed[1] for row in rows if row.passed[0])
