"""Looks at every state that the protocol can reach; of two that differ by the workers' places, at
one.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import NamedTuple

from cq_compat import states
from tests.unit.model.steps import Protocol, Step
from tests.unit.model.world import World


class Found(NamedTuple):
    """What a search has found.

    Args:
        worlds: how many states were reached.
        violation: what was broken first, with the steps to it; empty if nothing was. Workers may
            change places between two of the steps.
        stuck: from how many states no path without a fault ends the task.
    """

    worlds: int
    violation: str = ""
    stuck: int = 0

    @property
    def is_sound(self) -> bool:
        """Whether the promise holds."""
        return not self.violation and not self.stuck


def search(protocol: Protocol) -> Found:
    """Return what is wrong with a protocol."""
    first = World()
    reached: dict[World, tuple[World, str] | None] = {first: None}
    before: dict[World, list[World]] = defaultdict(list)
    todo = deque([first])
    while todo:
        world = todo.popleft()
        for step in protocol.steps(world):
            if broken := violation(world, step, acks_late=protocol.acks_late):
                return Found(len(reached), f"{broken}: {_path(reached, world)} {step.name}")
            after = step.world.canonical()
            if not step.is_fault:
                before[after].append(world)
            if after not in reached:
                reached[after] = (world, _label(step))
                todo.append(after)
    return Found(len(reached), stuck=_count_stuck(reached, before))


def violation(world: World, step: Step, *, acks_late: bool) -> str:
    """Return what a step breaks of the promise; nothing if it breaks nothing."""
    was, row = world.row, step.world.row
    if not was.is_open and row.state != was.state:
        return "the end was overwritten"
    if step.worker is None or (claim := world.workers[step.worker].claim) is None:
        return ""
    if step.name == "start":
        return _bad_start(world, step.world, claim.run, acks_late=acks_late)
    if step.name == "finish" and was.is_open and row.state == states.SUCCESS:
        return "ended by a worker without the claim" if claim.fence != was.fence else ""
    if step.name == "rerun" and claim.fence != was.fence:
        return "retried by a worker without the claim"
    return ""


def _bad_start(world: World, after: World, run: int, *, acks_late: bool) -> str:
    if not world.row.is_open:
        return "a body began after the end"
    if run != world.row.run:
        return "a body of an old run began"
    if not acks_late and after.begun[run] > 1:
        return "two bodies with early acknowledgement"
    if acks_late and sum(after.begun) > 1 + after.row.run + after.row.deaths:
        return "more bodies than deaths"
    return ""


def _count_stuck(
    reached: dict[World, tuple[World, str] | None], before: dict[World, list[World]]
) -> int:
    ends = {world for world in reached if not world.row.is_open}
    todo = deque(ends)
    while todo:
        for world in before.get(todo.popleft(), ()):
            if world not in ends:
                ends.add(world)
                todo.append(world)
    return len(reached) - len(ends)


def _label(step: Step) -> str:
    return step.name if step.worker is None else f"{step.name}[{step.worker}]"


def _path(reached: dict[World, tuple[World, str] | None], world: World) -> str:
    steps = []
    while (link := reached[world]) is not None:
        world, label = link
        steps.append(label)
    return " ".join(reversed(steps))
