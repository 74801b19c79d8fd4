"""A keeper finds which messages a layer has lost."""

from typing import Any

import pytest

from cq_compat.keeper.losses import LONG, SETTLED, EpochWatch, QueueWatch
from cq_compat.keeper.ringing import Ringing
from cq_compat.lease import Lease
from cq_compat.mirror import KeepingMirror, WorkingMirror
from cq_compat.models import Layer
from tests.conformance.rows.messages import BROKER, claimed, record, row
from tests.servers.waiting import wait_until


class Sizes:
    """A layer whose queues hold so many messages."""

    def __init__(self, **sizes: int) -> None:
        self.sizes = sizes

    def size(self, queue: str) -> int:
        """Return how many wait."""
        return self.sizes.get(queue, 0)


@pytest.fixture
def watch(connection: Any) -> QueueWatch:
    layer: Any = Sizes(celery=5)
    return QueueWatch(BROKER, layer, connection, Ringing(BROKER, layer, connection))


def sent(keeping: KeepingMirror, ago: float, **facts: Any) -> str:
    """Make a row whose message was sent so many seconds ago, and return its id."""
    made = record(**facts)
    keeping.record(made, sent=True)
    _send(keeping, made.id, ago)
    return made.id


def held(keeping: KeepingMirror, working: WorkingMirror, lease: Lease, ago: float) -> str:
    """Make a row of the queue that a worker has, likewise."""
    claim = claimed(keeping, working, lease)
    _send(keeping, claim.task_id, ago)
    return claim.task_id


def _send(keeping: KeepingMirror, task_id: str, ago: float) -> None:
    keeping.update(f"sent_at = {keeping.later}", [-ago], "id = %s", [task_id])


def is_lost(task_id: str) -> bool:
    """Tell whether a row is to be sent again."""
    return row(task_id).sent_at is None


def test_what_an_empty_queue_should_hold_is_lost(keeping: KeepingMirror, watch: QueueWatch) -> None:
    here, gone = sent(keeping, 60), sent(keeping, 60, queue="other")
    young = sent(keeping, 0, queue="other")

    watch.run_once()

    assert [is_lost(task_id) for task_id in (here, gone, young)] == [False, True, False]


def test_what_was_overtaken_is_lost(
    keeping: KeepingMirror, working: WorkingMirror, lease: Lease, watch: QueueWatch
) -> None:
    lost, early = sent(keeping, 60), sent(keeping, 31)
    later = sent(keeping, 20)
    watch.run_once()
    assert not is_lost(lost)  # nobody has taken a later one

    taken = [held(keeping, working, lease, ago) for ago in (90, 30)]
    watch.run_once()

    assert [is_lost(task_id) for task_id in (lost, early, later)] == [True, False, False]
    assert not any(is_lost(task_id) for task_id in taken)


def test_other_priorities_overtake(
    keeping: KeepingMirror, working: WorkingMirror, lease: Lease, watch: QueueWatch
) -> None:
    waiting = sent(keeping, 60)
    keeping.update("priority = 9", [], "id = %s", [waiting])
    held(keeping, working, lease, SETTLED)

    watch.run_once()

    assert not is_lost(waiting)


def test_what_an_exchange_leads_is_lost_when_nobody_takes_it(
    keeping: KeepingMirror, watch: QueueWatch
) -> None:
    young, old = (
        sent(keeping, ago, exchange="topics", queue="a.b") for ago in (LONG - 60, LONG + 60)
    )

    watch.run_once()

    assert not is_lost(young) and is_lost(old)


class Epochs(Sizes):
    """A layer that may lose everything."""

    name = "first"

    def epoch(self) -> str:
        """Return the name of what it holds."""
        return self.name


def test_what_is_noted_after_the_loss_is_found_at_the_next_look(
    keeping: KeepingMirror, connection: Any
) -> None:
    Layer.objects.create(broker=BROKER)
    layer: Any = Epochs()
    watch = EpochWatch(BROKER, layer, connection, Ringing(BROKER, layer, connection))
    watch.run_once()
    made = record()
    keeping.record(made)
    layer.name = "second"
    watch.run_once()

    keeping.mark_sent([(made.id, 0)], ago=60)

    wait_until(lambda: watch.run_once() or is_lost(made.id))


def test_the_first_epoch_that_is_noted_is_no_loss(keeping: KeepingMirror, connection: Any) -> None:
    Layer.objects.create(broker=BROKER)
    layer: Any = Epochs()
    watch = EpochWatch(BROKER, layer, connection, Ringing(BROKER, layer, connection))
    before = sent(keeping, 60)

    watch.run_once()
    assert not is_lost(before)

    layer.name = "second"
    watch.run_once()
    assert is_lost(before)
