"""What is done at the end of a process, be it an ordinary one or a child of a worker's pool."""

from __future__ import annotations

import threading
from collections.abc import Callable
from multiprocessing import util as multiprocessing_util

from billiard import util as billiard_util


def at_exit(function: Callable[[], None], priority: int = 10) -> None:
    """Call ``function`` when this process, and not a child of it, ends; higher priorities come
    first.
    """
    # Both run at the ordinary end; a pool's children leave by os._exit() and run only those of
    # their own library.
    multiprocessing_util.Finalize(None, function, exitpriority=priority)
    billiard_util.Finalize(None, function, exitpriority=priority)


def start(run: Callable[[], None], name: str) -> threading.Thread | None:
    """Call ``run`` in a thread that no process waits for; return ``None`` if none starts any more,
    as at the end of a process from Python 3.12 on.
    """
    thread = threading.Thread(target=run, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread
