"""The cases that a kill breaks by their nature, and why."""

from collections.abc import Callable
from typing import Any

from tests.acceptance.native import test_families as families
from tests.acceptance.native import test_logs_and_progress as logs
from tests.acceptance.native import test_readme as readme
from tests.acceptance.native import test_tasks as tasks

TWICE = "a body that runs again says its lines again"
RUNS = "it counts the runs of a body, and a death makes one more"
SILENT = "who is dead does not answer a remote control command"
LEFT_OUT: dict[Callable[..., Any], str] = {
    readme.test_logging: TWICE,
    readme.test_logs_of_subtasks: TWICE,
    readme.test_performance: TWICE,
    families.test_a_revoked_body_goes_on: "nobody runs a revoked body again",
    families.test_a_family_is_retried: RUNS,
    tasks.test_without_a_transaction: "each run of this body has its effect",
    tasks.test_a_process_that_dies_right_after_the_commit: RUNS,
    tasks.test_retries: RUNS,
    tasks.test_a_commit_that_fails: RUNS,
    tasks.test_a_body_that_has_lost_its_task_is_not_replaced: SILENT,
    tasks.test_workers_know_the_tasks: SILENT,
    logs.test_it_is_seen_while_the_body_runs_and_whole_at_its_end: TWICE,
    logs.test_a_body_in_a_transaction_says_all_in_the_end: TWICE,
    logs.test_what_was_said_outlives_the_failure_of_the_body: TWICE,
    logs.test_loggers_of_tasks_are_kept_with_the_task_that_runs: TWICE,
    logs.test_the_last_of_too_many_lines_are_kept: TWICE,
    logs.test_lines_are_held_back_within_a_limit: TWICE,
    logs.test_all_that_is_said_below_is_seen_from_the_top: TWICE,
    logs.test_it_survives_the_loss_of_redis: TWICE,
}
