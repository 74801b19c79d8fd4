"""The Celery result backend ``cq``: results are a part of the task's row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from celery import states as celery_states
from celery.app.task import Context
from celery.exceptions import TaskRevokedError

from cq_compat import states
from cq_compat.database import CallersConnection, Connection, may_write_beside, own_connection
from cq_compat.encoding import encode_text, storable
from cq_compat.errbacks import is_called
from cq_compat.groups import GroupsBackend
from cq_compat.guards import claim_of
from cq_compat.mirror import NO_TERMS, Claim, End, Outcome, PublishingMirror, Terms, WorkingMirror
from cq_compat.native.canvas import is_held, publish_next
from cq_compat.native.ends import end_of
from cq_compat.native.revoking import revoke_late
from cq_compat.native.telling import settle, tell_state
from cq_compat.native.terms import join_returned, terms_of
from cq_compat.persistence import persist
from cq_compat.pruning import prune, prune_remains
from cq_compat.results import Meta, Results
from cq_compat.retention import rules
from cq_compat.waiting import LONGEST_LOOK, ended, warn_of_own_transaction
from cq_compat.waking import tell


class CqBackend(GroupsBackend):
    """Stores results in ``cq_compat.models.Task``.

    A worker's write needs the claim on the task; without it nothing is stored, and nothing follows
    from the outcome: no chord goes on and no error callback is called.
    """

    persistent = True
    supports_autoexpire = False
    supports_failure_expires = True  # by the rules of ``retention``
    supports_native_join = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        extended = self.app.conf.find_value_for_key("extended", "result")
        self._results = Results(self.accept, extended=bool(extended))

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
        outcome = self._outcome(result, state, traceback, request)
        if state in states.FINISHED:
            self._write(task_id, outcome, request)
            return
        connection = own_connection() if may_write_beside() else CallersConnection()
        persist(partial(_store_unfinished, connection, task_id, outcome, claim_of(request)))
        tell_state(task_id, result)

    def mark_as_done(
        self,
        task_id: str,
        result: Any,
        request: Any = None,
        store_result: bool = True,
        state: str = celery_states.SUCCESS,
    ) -> None:
        """End a task with its result, and go on with its chord in the same transaction; the end
        itself may have been written in the body's.
        """
        follow = partial(self._part_done, request, state, result)
        end = end_of(request)
        if end is not None:
            settle(request)
            if not end.is_waiting:
                persist(follow)  # a keeper's, if this process dies before
            return
        terms = terms_of(self.app, request, result)
        if terms.result_from is not None:
            result = None
            join_returned(own_connection(), terms, task_id)
        outcome = self.outcome_of(result, request, store_result, state)
        self._end(task_id, outcome, request, follow, terms)

    def outcome_of(
        self,
        result: Any,
        request: Any,
        store_result: bool = True,
        state: str = celery_states.SUCCESS,
    ) -> Outcome:
        """Return the outcome of a body that has returned ``result``."""
        if not _keeps_result(request, store_result):
            return Outcome(state)
        return self._outcome(self.encode_result(result, state), state, None, request)

    def outcome_of_error(self, error: Exception, state: str = celery_states.FAILURE) -> Outcome:
        """Return the outcome of a task that ends with an error of this package."""
        return Outcome(state, *encode_text(self.encode_result(error, state), self.serializer))

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

    def go_on(self, end: End, value: Any, request: Any) -> None:
        """Let follow what has waited for a parent that is complete, in the same transaction: its
        canvas, or its error callbacks.
        """
        if end.state == celery_states.SUCCESS:
            if is_held(self.app, request):
                publish_next(self.app, request, value)
            self._part_done(request, end.state, value)
        else:
            super().mark_as_failure(end.task_id, value, None, request, state=end.state)
        if end.watcher:
            own_connection().on_commit(partial(tell, self.app, end.watcher, end.task_id))

    def _end(
        self,
        task_id: str,
        outcome: Outcome,
        request: Any,
        follow: Any,
        terms: Terms = NO_TERMS,
    ) -> None:
        settle(request)  # whoever sees the end sees the whole log

        def end() -> None:
            with own_connection().transaction():
                if self._write_once(task_id, outcome, request, terms):
                    follow()

        if request is not None and (request.chord or outcome.state != celery_states.SUCCESS):
            persist(end)
        elif self._write(task_id, outcome, request, terms):
            follow()

    def _write(self, task_id: str, outcome: Outcome, request: Any, terms: Terms = NO_TERMS) -> bool:
        return persist(partial(self._write_once, task_id, outcome, request, terms))

    def _write_once(self, task_id: str, outcome: Outcome, request: Any, terms: Terms) -> bool:
        claim = claim_of(request)
        if claim is None or claim.task_id != task_id:
            return PublishingMirror(own_connection()).store(task_id, outcome)
        mirror = WorkingMirror(own_connection())
        end = mirror.end(claim, outcome, terms)
        if end is None:
            own_connection().on_commit(partial(revoke_late, task_id))
        if end is None or end.is_waiting:
            return False
        if end.watcher:
            own_connection().on_commit(partial(tell, self.app, end.watcher, task_id))
        return True

    def _outcome(self, encoded: Any, state: str, traceback: Any, request: Any) -> Outcome:
        result, content_type = encode_text(encoded, self.serializer)
        found = self.current_task_children(request)
        children = encode_text(found, self.serializer)[0] if found else None
        shown = None if traceback is None else storable(traceback)
        return Outcome(state, result, content_type, shown, children)

    def _call_task_errbacks(self, request: Any, exc: Any, traceback: Any) -> None:
        # What is published belongs to the transaction that ends the task. What is called is others'
        # code: it waits for the commit, and sees the outcome.
        called = [found for found in request.errbacks if is_called(self.app, found)]
        published = [found for found in request.errbacks if found not in called]
        call = super()._call_task_errbacks
        if published:
            call(_with_errbacks(request, published), exc, traceback)
        if called:
            later = partial(call, _with_errbacks(request, called), exc, traceback)
            own_connection().on_commit(later)

    # Reading

    def _get_task_meta_for(self, task_id: str) -> Meta:
        found = self._results.read([task_id]).get(task_id)
        if found is None or found["is_ignored"]:  # Celery knows no state without a result
            return {"status": celery_states.PENDING, "result": None}
        return self._decoded(found)

    def task_result_exists(self, task_id: str) -> bool:
        """Tell whether the task is known, be it pending or done."""
        return self._results.exists(task_id)

    def get_many(
        self,
        task_ids: Iterable[str],
        timeout: float | None = None,
        interval: float | None = LONGEST_LOOK,
        no_ack: bool = True,
        on_message: Any = None,
        on_interval: Any = None,
        **kwargs: Any,
    ) -> Iterator[tuple[str, Meta]]:
        """Yield the ids of tasks and what became of them, as they end.

        Raises:
            celery.exceptions.TimeoutError: some have not within ``timeout`` seconds.
        """
        for meta in ended(self.app, self._results, task_ids, timeout, interval, on_interval):
            self._decoded(meta)
            if on_message is not None:
                on_message(meta)
            yield meta["task_id"], meta

    def wait_for(
        self,
        task_id: str,
        timeout: float | None = None,
        interval: float | None = LONGEST_LOOK,
        no_ack: bool = True,
        on_interval: Any = None,
    ) -> Meta:
        """Return what became of a task, once it has ended.

        Raises:
            celery.exceptions.TimeoutError: it has not within ``timeout`` seconds.
        """
        self._ensure_not_eager()
        warn_of_own_transaction(task_id)
        found = ended(self.app, self._results, [task_id], timeout, interval, on_interval)
        return self._decoded(next(found))

    def _decoded(self, meta: Meta) -> Meta:
        decoded: Meta = self.meta_from_decoded(meta)
        return decoded

    # Forgetting

    def _forget(self, task_id: str) -> None:
        PublishingMirror(own_connection()).forget([task_id])

    def cleanup(self) -> None:
        """Delete what ended long ago, by ``CQ["RETENTION"]``, the tasks' options and
        ``result_expires``; called by Celery's daily task.
        """
        prune(rules(self.app, self.expires or None))
        if self.expires:
            prune_remains(self.expires)


def _store_unfinished(
    connection: Connection, task_id: str, outcome: Outcome, claim: Claim | None
) -> bool:
    if claim is None or claim.task_id != task_id:
        return PublishingMirror(connection).store(task_id, outcome)
    return WorkingMirror(connection).progress(claim, outcome)


def _keeps_result(request: Any, store_result: bool) -> bool:
    if request is None:
        return store_result
    return bool(request.chord) or (store_result and not request.ignore_result)


def _with_errbacks(request: Any, errbacks: list[Any]) -> Context:
    return Context({**vars(request), "errbacks": errbacks})
