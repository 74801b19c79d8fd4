"""A table of tasks as it is after months."""

from django.db import connections

ROWS = 300_000
LIVE = 3_000
FINISHED_SQL = """
INSERT INTO cq_task (id, name, state, ended_as, args, kwargs, broker, exchange, queue, priority,
    message, retries, run, fence, acks_late, deaths, worker, content_type, result,
    parent_id, group_id, is_subtask, is_held, subtasks_may_fail, periodic_task_name,
    created_at, sent_at, received_at, started_at, finished_at)
SELECT md5(n::text), 'shop.tasks.' || (array['mail', 'resize', 'charge', 'report', 'sync'])[1+n%%5],
    coalesce(ended, 'SUCCESS'), ended, '(1,)', '{}', 'channels://default', '',
    CASE WHEN n %% 100000 = 7 THEN 'rare' WHEN n %% 7 = 0 THEN 'mail' ELSE 'celery' END, 0,
    'x', 0, 0, 1, false, 0, 'w' || n %% 5 || '@test', 'application/json', '{}',
    CASE WHEN n %% 10 = 0 THEN md5((n / 100)::text) END,
    CASE WHEN n %% 10 = 0 THEN 'g' || n / 100 END, n %% 100 = 0, false, false,
    CASE WHEN n %% 50 = 1 THEN 'nightly' END, at, at, at, at, at
FROM (
    SELECT n, now() - (%s - n) * interval '20 seconds' AS at, CASE WHEN n %% 1000 = 0 THEN 'FAILURE'
        WHEN n %% 3333 = 0 THEN 'REVOKED' END AS ended FROM generate_series(1, %s) n
) finished
"""
LIVE_SQL = """
INSERT INTO cq_task (id, name, state, args, kwargs, broker, exchange, queue, priority, message,
    retries, run, fence, acks_late, deaths, worker, content_type, is_subtask, is_held,
    subtasks_may_fail, owner_id, created_at, sent_at, due_at)
SELECT 'live' || n, 'shop.tasks.sync', CASE WHEN n <= 20 THEN 'STARTED' ELSE 'PENDING' END, '', '',
    'channels://default', '', 'celery', 0, 'x', 0, 0, 0, false, 0, '', '', false, false, false,
    CASE WHEN n <= 20 THEN %s::uuid END, now() - n * interval '1 second',
    CASE WHEN n %% 2 = 0 THEN now() - interval '1 minute' END,
    now() + (n - 50) * interval '1 second'
FROM generate_series(1, %s) n
"""


def fill(alias: str, owner: object) -> None:
    """Insert many finished tasks and some that are not, a few of them of a worker."""
    with connections[alias].cursor() as cursor:
        cursor.execute(FINISHED_SQL, [ROWS, ROWS])
        cursor.execute(LIVE_SQL, [owner, LIVE])
        cursor.execute("ANALYZE")
