"""The part of the result backend that is of groups and chords."""

from __future__ import annotations

from functools import partial
from typing import Any

from celery.backends.base import BaseBackend
from celery.result import result_from_tuple

from cq_compat import chords
from cq_compat.database import own_connection
from cq_compat.dialects import dialect_of
from cq_compat.encoding import decode_text, encode_text
from cq_compat.links import Link
from cq_compat.native.chord_parts import add_part


class GroupsBackend(BaseBackend):  # type: ignore[misc]
    """Saves results of groups, and counts the parts of chords."""

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
        chords.begin(self.app, *header_result_args)

    def set_chord_size(self, group_id: str, chord_size: int) -> None:
        """Learn how many parts a chord has."""
        chords.set_size(group_id, chord_size)

    def add_to_chord(self, chord_id: str, result: Any) -> None:
        """Let a chord wait for one part more."""
        add_part(self.app, chord_id, result)

    def on_chord_part_return(self, request: Any, state: str, result: Any, **kwargs: Any) -> None:
        """Count a part of a chord; after the last one publish the body."""
        if not request.group:
            return
        with own_connection().transaction():
            header = chords.part_done(request.group)
            if header is not None:
                chords.publish_body(self.app, self, header, request.chord)
                _look_at_parent(Link.read(vars(request)).subtask_of)

    def _part_done(self, request: Any, state: str, result: Any) -> None:
        if request is not None and request.chord:
            self.on_chord_part_return(request, state, result)


def _look_at_parent(parent_id: str | None) -> None:
    from cq_compat.native.following import complete_after

    # A chord that has failed has no body whose end would end the parent of its parts.
    if parent_id is not None:
        own_connection().on_commit(partial(complete_after, parent_id))
