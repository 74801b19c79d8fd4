"""The Celery result backend ``cq``: results are a part of the task's row."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from functools import partial
from time import monotonic, sleep
from typing import Any

from celery import states as celery_states
from celery.backends.base import BaseBackend
from celery.exceptions import TaskRevokedError
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import result_from_tuple
from django.db import connections

from cq_compat import chords, states
from cq_compat.database import alias, own_connection
from cq_compat.dialects import dialect_of
from cq_compat.encoding import decode_text, encode_text
from cq_compat.guards import claim_of
from cq_compat.mirror import Outcome, PublishingMirror, WorkingMirror
from cq_compat.persistence import persist
from cq_compat.pruning import prune, prune_remains
from cq_compat.retention import rules

#: Seconds between two looks at a result that is waited for, at first and at most.
FIRST_LOOK, LONGEST_LOOK = 0.005, 0.5
#: Rows read by one statement.
CHUNK = 500

_COLUMNS = (
    "id, state, result, content_type, traceback, children, finished_at, name, args, kwargs, "
    "worker, retries, queue, parent_id, group_id"
)


class CqBackend(BaseBackend):  # type: ignore[misc]
    """Stores results in ``cq_compat.models.Task``.

    A worker's write needs the claim on the task; without it nothing is stored, and nothing follows
    from the outcome: no chord goes on and no error callback is called.
    """

    persistent = True
    supports_autoexpire = False
    supports_native_join = True

    def as_uri(self, include_password: bool = False) -> str:
        """Return the backend's name."""
        return "cq://"

    # Writing

    def _store_result(
        self,
        task_id: str,
        result: Any,
        state: str,
        traceback: str | None = None,
        request: Any = None,
        **kwargs: Any,
    ) -> None:
        self._write(task_id, self._outcome(result, state, traceback, request), request)

    def mark_as_done(
        self,
        task_id: str,
        result: Any,
        request: Any = None,
        store_result: bool = True,
        state: str = celery_states.SUCCESS,
    ) -> None:
        """End a task with its result, and go on with its chord in the same transaction."""
        keeps = store_result and not (request is not None and request.ignore_result)
        encoded = self.encode_result(result, state) if keeps else None
        outcome = self._outcome(encoded, state, None, request, keeps=keeps)
        self._end(task_id, outcome, request, partial(self._part_done, request, state, result))

    def mark_as_failure(
        self,
        task_id: str,
        exc: Any,
        traceback: str | None = None,
        request: Any = None,
        store_result: bool = True,
        call_errbacks: bool = True,
        state: str = celery_states.FAILURE,
    ) -> None:
        """End a task with an error; its chord, chain and error callbacks follow."""
        outcome = self._outcome(self.encode_result(exc, state), state, traceback, request)
        follow = partial(
            super().mark_as_failure,
            *(task_id, exc, traceback, request),
            store_result=store_result,  # of the tasks chained to it; its own is stored by then
            call_errbacks=call_errbacks,
            state=state,
        )
        self._end(task_id, outcome, request, follow)

    def mark_as_revoked(
        self,
        task_id: str,
        reason: str = "",
        request: Any = None,
        store_result: bool = True,
        state: str = celery_states.REVOKED,
    ) -> None:
        """End a task that was revoked, terminated or came too late."""
        exc = TaskRevokedError(reason)
        outcome = self._outcome(self.encode_result(exc, state), state, None, request)
        self._end(task_id, outcome, request, partial(self._part_done, request, state, exc))

    def _end(self, task_id: str, outcome: Outcome, request: Any, follow: Any) -> None:
        def end() -> None:
            with own_connection().transaction():
                if self._write_once(task_id, outcome, request):
                    follow()

        if request is not None and (request.chord or outcome.state != celery_states.SUCCESS):
            persist(end)
        elif self._write(task_id, outcome, request):
            follow()

    def _write(self, task_id: str, outcome: Outcome, request: Any) -> bool:
        return persist(partial(self._write_once, task_id, outcome, request))

    def _write_once(self, task_id: str, outcome: Outcome, request: Any) -> bool:
        claim = claim_of(request)
        if claim is None or claim.task_id != task_id:
            return PublishingMirror(own_connection()).store(task_id, outcome)
        mirror = WorkingMirror(own_connection())
        if outcome.state in states.FINISHED:
            return mirror.finish(claim, outcome)
        return mirror.progress(claim, outcome)

    def _outcome(
        self, encoded: Any, state: str, traceback: Any, request: Any, *, keeps: bool = True
    ) -> Outcome:
        result, content_type = encode_text(encoded, self.serializer) if keeps else (None, "")
        children = self.current_task_children(request)
        stored = encode_text(self.prepare_value(children), self.serializer)[0] if children else None
        return Outcome(state, result, content_type, _text(traceback), stored)

    # Reading

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        found = self._read([task_id])
        return found.get(task_id) or {"status": celery_states.PENDING, "result": None}

    def task_result_exists(self, task_id: str) -> bool:
        """Tell whether the task is known, be it pending or done."""
        return bool(self._read([task_id]))

    def get_many(
        self,
        task_ids: Iterable[str],
        timeout: float | None = None,
        interval: float = LONGEST_LOOK,
        no_ack: bool = True,
        on_message: Any = None,
        on_interval: Any = None,
        **kwargs: Any,
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the ids of tasks and what became of them, as they end."""
        waiting = list(dict.fromkeys(task_ids))
        looks = _looks(timeout, interval)
        while waiting:
            ended = self._read_ended(waiting)
            waiting = [task_id for task_id in waiting if task_id not in ended]
            for task_id, meta in ended.items():
                if on_message is not None:
                    on_message(meta)
                yield task_id, meta
            if waiting:
                if on_interval is not None:
                    on_interval()
                next(looks)

    def wait_for(
        self,
        task_id: str,
        timeout: float | None = None,
        interval: float = LONGEST_LOOK,
        no_ack: bool = True,
        on_interval: Any = None,
    ) -> dict[str, Any]:
        """Return what became of a task, once it has ended.

        Raises:
            celery.exceptions.TimeoutError: it has not within ``timeout`` seconds.
        """
        self._ensure_not_eager()
        self._warn_of_own_transaction(task_id)
        looks = _looks(timeout, interval)
        while not (ended := self._read_ended([task_id])):
            if on_interval is not None:
                on_interval()
            next(looks)
        return ended[task_id]

    def _read_ended(self, task_ids: list[str]) -> dict[str, dict[str, Any]]:
        return {
            task_id: meta
            for task_id, meta in self._read(task_ids).items()
            if meta["status"] in self.READY_STATES
        }

    def _read(self, task_ids: list[str]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(task_ids), CHUNK):
            chunk = task_ids[start : start + CHUNK]
            rows = own_connection().fetch(
                f"SELECT {_COLUMNS} FROM cq_task WHERE id IN ({', '.join(['%s'] * len(chunk))})",
                chunk,
            )
            found |= {row[0]: self._meta(row) for row in rows}
        return found

    def _meta(self, row: tuple[Any, ...]) -> dict[str, Any]:
        _, state, result, content_type, traceback, children, finished_at, *rest = row
        meta = {
            "task_id": row[0],
            "status": state,
            "result": decode_text(result, content_type, self.accept),
            "traceback": traceback,
            "children": decode_text(children, content_type or self.content_type, self.accept),
            "date_done": _iso(finished_at),
        }
        names = ("name", "args", "kwargs", "worker", "retries", "queue", "parent_id", "group_id")
        meta |= dict(zip(names, rest, strict=True))
        decoded: dict[str, Any] = self.meta_from_decoded(meta)
        return decoded

    def _warn_of_own_transaction(self, task_id: str) -> None:
        connection = connections[alias()]
        if not connection.in_atomic_block or self.task_result_exists(task_id):
            return
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM cq_task WHERE id = %s", [task_id])
            if cursor.fetchone():
                warnings.warn(
                    f"Task {task_id} is sent when the transaction around this call commits, so "
                    "waiting for its result here waits in vain. Call get() after the transaction.",
                    RuntimeWarning,
                    stacklevel=5,
                )

    # Forgetting

    def _forget(self, task_id: str) -> None:
        own_connection().execute(
            "DELETE FROM cq_task WHERE id = %s AND finished_at IS NOT NULL", [task_id]
        )

    def cleanup(self) -> None:
        """Delete what ended long ago, by ``CQ["RETENTION"]``, the tasks' options and
        ``result_expires``; called by Celery's daily task.
        """
        prune(rules(self.app, self.expires or None))
        if self.expires:
            prune_remains(self.expires)

    # Groups and chords

    def _save_group(self, group_id: str, result: Any) -> Any:
        connection = own_connection()
        text, content_type = encode_text(result.as_tuple(), self.serializer)
        now = dialect_of(connection.vendor).now
        with connection.transaction():
            self._delete_group(group_id)
            connection.execute(
                "INSERT INTO cq_group (id, result, content_type, created_at) "
                f"VALUES (%s, %s, %s, {now})",
                [group_id, text, content_type],
            )
        return result

    def _restore_group(self, group_id: str) -> dict[str, Any] | None:
        found = own_connection().fetch(
            "SELECT result, content_type FROM cq_group WHERE id = %s", [group_id]
        )
        if not found:
            return None
        return {
            "result": result_from_tuple(
                decode_text(found[0][0], found[0][1], self.accept), self.app
            )
        }

    def _delete_group(self, group_id: str) -> None:
        own_connection().execute("DELETE FROM cq_group WHERE id = %s", [group_id])

    def apply_chord(self, header_result_args: Any, body: Any, **kwargs: Any) -> None:
        """Begin to count the parts of a chord."""
        self.ensure_chords_allowed()
        header = self.app.GroupResult(*header_result_args)
        chords.begin(header.id, header)

    def set_chord_size(self, group_id: str, chord_size: int) -> None:
        """Learn how many parts a chord has."""
        chords.set_size(group_id, chord_size)

    def on_chord_part_return(self, request: Any, state: str, result: Any, **kwargs: Any) -> None:
        """Count a part of a chord; after the last one publish the body."""
        if not request.group:
            return
        with own_connection().transaction():
            header = chords.part_done(request.group)
            if header is not None:
                chords.publish_body(self.app, self, header, request.chord)

    def _part_done(self, request: Any, state: str, result: Any) -> None:
        if request is not None and request.chord:
            self.on_chord_part_return(request, state, result)


def _looks(timeout: float | None, longest: float) -> Iterator[None]:
    """Sleep a little longer each time; raises ``TimeoutError`` when the time is over."""
    deadline = None if timeout is None else monotonic() + timeout
    pause = FIRST_LOOK
    while True:
        left = longest if deadline is None else deadline - monotonic()
        if left <= 0:
            raise CeleryTimeoutError("The operation timed out.")
        sleep(min(pause, left))
        pause = min(pause * 1.5, longest)
        yield


def _iso(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
