"""Tests of Celery that pass over redis:// and cannot pass where every task is a row, and why."""

#: The file of tests of the Redis backend's own methods.
REDIS_BACKEND = "t/integration/test_redis_backend.py"
#: Reasons by the test's id, without its parameters, or by its file.
DIFFERENCES = {
    **dict.fromkeys(
        (
            "t/integration/test_canvas.py::test_chain::"
            "test_chord_header_id_duplicated_on_rabbitmq_msg_duplication",
            "t/integration/test_canvas.py::test_chord::"
            "test_reapplying_frozen_chord_dispatches_body_again",
            "t/integration/test_canvas.py::test_chord::"
            "test_mutable_errback_called_by_chord_from_chain",
            "t/integration/test_canvas.py::test_chord::"
            "test_mutable_errback_called_by_chord_from_chain_tail",
            "t/integration/test_canvas.py::test_chord::"
            "test_mutable_errback_called_by_chord_from_group",
        ),
        "it publishes an id anew that has run; a task runs once",
    ),
    "t/integration/test_inspect.py::test_Inspect::test_scheduled": (
        "a task that is not due waits in the table, not in a worker"
    ),
    **dict.fromkeys(
        (
            REDIS_BACKEND,
            "t/integration/test_canvas.py::test_chord::test_chord_on_error",
            "t/integration/test_tasks.py::test_task_redis_result_backend::"
            "test_asyncresult_forget_cancels_subscription",
            "t/integration/test_tasks.py::test_task_redis_result_backend::"
            "test_asyncresult_get_cancels_subscription",
        ),
        "it looks at the keys, the channels or the methods of the Redis backend",
    ),
}


def difference(test: str) -> str:
    """Return why a test may fail where tasks are rows; empty if it may not."""
    return DIFFERENCES.get(test.partition("[")[0]) or DIFFERENCES.get(test.partition("::")[0], "")
