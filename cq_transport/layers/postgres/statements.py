"""What is asked of PostgreSQL, each one statement on the layer's own two tables.

Messages lie where ``PostgresChannelLayer`` looks for them, in the order of their ids. Its trigger
notifies every listener of every insert. Its table of groups keeps what other processes must see of
exchanges and queues (see ``facts``). All times are the database's.
"""

from __future__ import annotations

from dataclasses import dataclass

from channels_postgres.db import (  # type: ignore[import-untyped]
    GROUP_CHANNEL_TABLE,
    MESSAGE_TABLE,
)

#: Seconds for which a fact without a lease is kept; no fact with one lives for half as long.
FOR_EVER = 100 * 365 * 86_400.0
#: Seconds that a message which is put back can still be taken, however old it is.
GRACE = 60
#: Seconds that the note of a sender's last request is kept.
NOTED_FOR = 600
#: Expired rows that one sweep removes at most.
SWEPT = 1000
# What the channels of a queue end in, one for each priority.
_SUFFIXES = "ARRAY['" + "', '".join(["", *(f"_p{priority}" for priority in range(1, 10))]) + "']"


@dataclass(frozen=True)
class Statement:
    """A statement and the name by which a connection remembers it."""

    name: str
    sql: str


def _statement(name: str, sql: str) -> Statement:
    return Statement(
        f"cq_{name}",
        sql.format(
            message=MESSAGE_TABLE,
            fact=GROUP_CHANNEL_TABLE,
            for_ever=FOR_EVER,
            grace=GRACE,
            noted=NOTED_FOR,
            swept=SWEPT,
            suffixes=_SUFFIXES,
        ),
    )


#: Channels, message, seconds to its expiry.
PUT = _statement(
    "put",
    """
    INSERT INTO {message} (channel, message, expire)
    SELECT channel, $2::bytea, now() + make_interval(secs => $3::float8)
    FROM unnest($1::text[]) AS channel
    """,
)

#: A sender, the number of its request, the row of its last note. Notes that the request is carried
#: out, in its transaction; answers the row of the note. It lies among the messages because no
#: statement that is frequent reads these from the beginning: versions of it that a long transaction
#: keeps from being removed are in nobody's way.
NOTE = _statement(
    "note",
    """
    WITH noted AS (
        UPDATE {message}
        SET message = int8send($2::int8), expire = now() + interval '{noted} seconds'
        WHERE id = $3::int8 AND channel = $1::text
        RETURNING id
    ), begun AS (
        INSERT INTO {message} (channel, message, expire)
        SELECT $1::text, int8send($2::int8), now() + interval '{noted} seconds'
        WHERE NOT EXISTS (SELECT FROM noted)
        RETURNING id
    )
    SELECT id::int8 FROM noted UNION ALL SELECT id::int8 FROM begun
    """,
)

#: A sender, the number of a request, the row of its last note. Answers the row of the note if the
#: request was carried out.
NOTED = _statement(
    "noted",
    """
    SELECT id::int8 FROM {message}
    WHERE id >= $3::int8 AND channel = $1::text AND message = int8send($2::int8)
    """,
)

#: The two halves of a lock. Ends the sessions that hold it or wait for it.
END_SESSIONS = _statement(
    "end_sessions",
    """
    SELECT count(pg_terminate_backend(pid)) FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 2 AND pid <> pg_backend_pid()
        AND classid = $1::int8::oid AND objid = $2::int8::oid
    """,
)

#: The two halves of a lock. Answers when this session has it: the ones before have ended.
LOCK_SESSION = _statement("lock_session", "SELECT pg_advisory_lock($1::int4, $2::int4)")

#: Id, channel, message, expiry as a Unix time: the message takes its old place.
RESTORE = _statement(
    "restore",
    """
    INSERT INTO {message} (id, channel, message, expire)
    VALUES (
        $1::int8, $2::text, $3::bytea,
        greatest(to_timestamp($4::float8), now() + interval '{grace} seconds')
    )
    ON CONFLICT (id) DO NOTHING
    """,
)

#: Channels, most urgent first, the lowest id of each, how many in all. Answers id, channel,
#: message, expiry as a Unix time, seconds to it, and the transaction. What others are taking is
#: passed over. Channels are visited one after the other until there are enough.
TAKE = _statement(
    "take",
    """
    DELETE FROM {message} WHERE id = ANY (ARRAY(
        SELECT found.id
        FROM unnest($1::text[], $2::int8[]) AS wanted (channel, lowest)
        CROSS JOIN LATERAL (
            SELECT id FROM {message}
            WHERE channel = wanted.channel AND id >= wanted.lowest AND expire > now()
            ORDER BY id LIMIT $3::int8 FOR UPDATE SKIP LOCKED
        ) AS found
        LIMIT $3::int8
    ))
    RETURNING
        id::int8, channel::text, message, extract(epoch FROM expire)::float8,
        extract(epoch FROM expire - now())::float8, txid_current()
    """,
)

#: A transaction. Answers what became of it.
OUTCOME = _statement("outcome", "SELECT txid_status($1::int8)")

#: Channels. Answers those with messages, and the lowest id of each.
LOOK = _statement(
    "look",
    """
    SELECT channel::text, min(id)::int8 FROM {message}
    WHERE channel = ANY ($1::text[]) AND expire > now()
    GROUP BY channel
    """,
)

#: Channels. Answers how many messages wait in them.
SIZE = _statement(
    "size",
    "SELECT count(*) FROM {message} WHERE channel = ANY ($1::text[]) AND expire > now()",
)

#: Channels. Removes their messages.
PURGE = _statement(
    "purge",
    "DELETE FROM {message} WHERE channel = ANY ($1::text[]) AND expire > now()",
)

#: Channel, capacity. Removes the oldest messages beyond it.
TRIM = _statement(
    "trim",
    """
    DELETE FROM {message} WHERE id = ANY (ARRAY(
        SELECT id FROM {message}
        WHERE channel = $1::text AND id <= (
            SELECT id FROM {message} WHERE channel = $1::text
            ORDER BY id DESC OFFSET $2::int8 LIMIT 1
        )
        FOR UPDATE SKIP LOCKED
    ))
    """,
)

#: Removes expired messages, queues and bindings, and the messages of the queues that end with that.
SWEEP = _statement(
    "sweep",
    """
    WITH ended AS (
        DELETE FROM {fact} WHERE id = ANY (ARRAY(
            SELECT id FROM {fact} WHERE expire < now() AND group_key LIKE 'cq.%'
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING group_key
    )
    DELETE FROM {message} WHERE id = ANY (ARRAY(
        SELECT id FROM {message}
        WHERE expire < now() OR channel IN (
            SELECT group_key || suffix FROM ended, unnest({suffixes}) AS suffix
        )
        LIMIT {swept} FOR UPDATE SKIP LOCKED
    ))
    """,
)

#: Key. Answers the rows of its facts, and whether each has a lease; oldest first.
FACTS = _statement(
    "facts",
    """
    SELECT channel::text, expire < now() + make_interval(secs => {for_ever} / 2)
    FROM {fact} WHERE group_key = $1::text AND expire > now()
    ORDER BY id
    """,
)

#: Key, rows of one fact, seconds of its lease. Nothing is written while most of the lease is left.
SET_FACT = _statement(
    "set_fact",
    """
    WITH known AS (
        SELECT FROM {fact}
        WHERE group_key = $1::text AND channel = ($2::text[])[1]
            AND expire BETWEEN now() + make_interval(secs => 0.9 * $3::float8)
                AND now() + make_interval(secs => $3::float8)
    ), old AS (
        DELETE FROM {fact}
        WHERE group_key = $1::text AND channel = ANY ($2::text[])
            AND NOT EXISTS (SELECT FROM known)
    )
    INSERT INTO {fact} (group_key, channel, expire)
    SELECT $1::text, part, now() + make_interval(secs => $3::float8)
    FROM unnest($2::text[]) AS part
    WHERE NOT EXISTS (SELECT FROM known)
    """,
)

#: Key, rows of one fact.
DROP_FACT = _statement(
    "drop_fact",
    "DELETE FROM {fact} WHERE group_key = $1::text AND channel = ANY ($2::text[])",
)

#: Key.
DROP_FACTS = _statement("drop_facts", "DELETE FROM {fact} WHERE group_key = $1::text")

#: Answers nothing, but fails where the layer's tables are missing.
PROBE = _statement("probe", "SELECT FROM {message}, {fact} LIMIT 0")

#: The channel of the layer's notifications.
NOTIFICATIONS = "channels_postgres_messages"
#: Sets up every connection. The tables change their sizes all the time, so the planner's estimates
#: are no use: scans in the order of the ids are right for a queue.
SET_UP = (
    "SET enable_seqscan = off",
    "SET enable_bitmapscan = off",
    "SET plan_cache_mode = force_generic_plan",
    "SET jit = off",
)
