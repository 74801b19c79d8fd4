"""Results for asynchronous code."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from typing import Any

from celery.result import AsyncResult, ResultSet

from cq_compat.results import Results
from cq_compat.waiting import Wait


async def aget(
    result: AsyncResult | ResultSet, timeout: float | None = None, *, propagate: bool = True
) -> Any:
    """Return what ``result.get()`` returns, of one task or of a group, without holding up the
    event loop: any number of coroutines may wait.

    Args:
        timeout: seconds until it is given up.
        propagate: raise the error of a task that has failed; otherwise it is returned.

    Raises:
        celery.exceptions.TimeoutError: the time is over.
    """
    backend = result.backend
    bell, loop = asyncio.Event(), asyncio.get_running_loop()
    ring = partial(loop.call_soon_threadsafe, bell.set)
    results = Results(backend.accept, extended=False)
    with closing(Wait(backend.app, results, _ids(result), timeout, None, ring)) as wait:
        while not wait.is_over:
            await asyncio.to_thread(wait.look)
            if not wait.is_over:
                pause = wait.pause()
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(bell.wait(), pause)
                bell.clear()
    return await asyncio.to_thread(partial(result.get, timeout=0, propagate=propagate))


def _ids(result: AsyncResult | ResultSet) -> Iterator[str]:
    if isinstance(result, ResultSet):
        for each in result.results:
            yield from _ids(each)
    else:
        yield result.id
