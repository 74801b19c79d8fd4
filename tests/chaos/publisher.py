"""A process that publishes what a test asks for: one JSON line each way.

    {"task": "trace", "args": [], "count": 3, "options": {}, "transaction": "commit"}

`module` is that of the task. `transaction` is "commit" or "rollback" for one transaction around all
of it, "bulk" for a block of `cq_compat.bulk()`, absent for none.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from tests.servers.daemon import ROOT
from tests.servers.lifetime import die_with_parent


class Publisher:
    """The test's side of the process; `env` is added to this process' environment."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.publisher"],
            cwd=ROOT,
            env={**os.environ, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent(),
        )

    def publish(self, task: str, *args: Any, **order: Any) -> list[str]:
        """Return the ids of the tasks that were published; raises RuntimeError with the error."""
        self.begin(task, *args, **order)
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the publisher has ended with {self.process.wait()}")
        found = json.loads(answer)
        if "error" in found:
            raise RuntimeError(found["error"])
        ids: list[str] = found["ids"]
        return ids

    def begin(self, task: str, *args: Any, **order: Any) -> None:
        """Let tasks be published, and do not wait for that."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"task": task, "args": args, **order}) + "\n")
        self.process.stdin.flush()

    def close(self) -> None:
        """End the process as a crash would."""
        self.process.kill()
        self.process.communicate()


def _publish(order: dict[str, Any]) -> list[str]:
    from contextlib import nullcontext

    from django.db import transaction

    from cq_compat import bulk

    task = getattr(import_module(order.get("module", "tests.project.tasks")), order["task"])
    how = order.get("transaction")
    blocks = {None: nullcontext, "bulk": bulk}
    with blocks.get(how, transaction.atomic)():
        ids = [
            task.apply_async(order["args"], **order.get("options", {})).id
            for _ in range(order.get("count", 1))
        ]
        if how == "rollback":
            transaction.set_rollback(True)
    return ids


def _main() -> None:
    import django

    django.setup()
    for line in sys.stdin:
        try:
            answer: dict[str, Any] = {"ids": _publish(json.loads(line))}
        except Exception as exc:
            answer = {"error": f"{type(exc).__name__}: {exc}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _main()
