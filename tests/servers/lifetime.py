"""Tie the life of a child process to that of the process which started it."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def die_with_parent(sig: int = signal.SIGKILL) -> Callable[[], None] | None:
    """Return a `preexec_fn` that makes the kernel send `sig` to the child when its parent dies, and
    lets the child be interrupted.

    The parent is the *thread* that starts the child. None where the kernel has no such call: there
    only a clean exit of the parent ends the child.
    """
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)  # before the fork: loading is not fork-safe
    parent = os.getpid()

    def tie() -> None:
        # Whoever runs the tests in the background has it ignored.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        libc.prctl(PR_SET_PDEATHSIG, sig, 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the call above took effect
            os._exit(1)

    return tie
