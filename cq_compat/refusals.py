"""Tells which messages a worker has claimed, and why it has dropped the others."""

from __future__ import annotations

from collections.abc import Sequence

from kombu.log import get_logger

from cq_compat.database import own_connection
from cq_compat.records import is_kept, run_of
from cq_compat.signals import copy_refused, facts_of, task_claimed
from cq_transport.envelope import Envelope

logger = get_logger(__name__)


def tell_claims(envelopes: Sequence[Envelope], answers: Sequence[bool]) -> None:
    """Tell whoever listens which of the messages may run here."""
    if not (task_claimed.is_heard or copy_refused.is_heard):
        return
    refused: list[Envelope] = []
    for envelope, answer in zip(envelopes, answers, strict=True):
        if answer and is_kept(envelope):
            task_claimed.tell(**facts_of(envelope))
        elif not answer:
            refused.append(envelope)
    if copy_refused.is_heard and refused:
        for envelope, reason in zip(refused, _reasons(refused), strict=True):
            copy_refused.tell(**facts_of(envelope), reason=reason)


def _reasons(refused: Sequence[Envelope]) -> list[str]:
    ids = [str(envelope["headers"]["id"]) for envelope in refused]
    marks = ", ".join(["%s"] * len(ids))
    try:
        found = own_connection().fetch(
            "SELECT id, run, finished_at IS NOT NULL, owner_id IS NOT NULL FROM cq_task "
            f"WHERE id IN ({marks})",
            ids,
        )
    except Exception:
        logger.warning("Nobody knows why copies were refused.", exc_info=True)
        return ["unknown"] * len(ids)
    rows = {task_id: row for task_id, *row in found}
    return [
        _reason(run_of(envelope), *rows.get(task_id, (None, False, False)))
        for task_id, envelope in zip(ids, refused, strict=True)
    ]


def _reason(run: int, run_now: int | None, is_finished: bool, is_owned: bool) -> str:
    if run_now is None:
        return "unknown"
    if is_finished:
        return "finished"
    if run != run_now:
        return "superseded"
    return "claimed" if is_owned else "free"
