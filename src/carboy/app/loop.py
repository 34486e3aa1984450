"""The event loop of `async def` views and hooks: one a process, for as long as the process lives.

So what belongs to a loop, a pool of database connections or an HTTP client's sessions, serves
every request of a worker. The loop has a thread of its own. Whoever calls a coroutine function
waits for it; the coroutines of all requests run beside each other.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import update_wrapper
from typing import Any

__all__ = ["waiting_for"]

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_MISSING = object()


def waiting_for(func: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
    """A plain function that runs `func` on the loop and gives its result, or raises its error.

    The coroutine sees the caller's context variables, and the caller those that it has set.
    RuntimeError where the caller is itself on the loop: it would wait for itself.
    """

    def wait(*args: Any, **kwargs: Any) -> Any:
        loop = the_loop()
        if _running_here() is loop:
            raise RuntimeError(
                f"{getattr(func, '__name__', func)!r} is a coroutine function and was called"
                " like a plain one inside the event loop. Call it with await there."
            )
        context = contextvars.copy_context()
        future: Future[Any] = Future()
        loop.call_soon_threadsafe(_start, loop, func, args, kwargs, context, future)
        try:
            return future.result()
        except BaseException:
            # Ctrl+C in the waiting thread: nobody is left who wants the result.
            future.cancel()
            raise
        finally:
            _adopt(context)

    return update_wrapper(wait, func)


def the_loop() -> asyncio.AbstractEventLoop:
    """The loop of this process, started when first asked for."""
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            started = threading.Event()
            _loop.call_soon(started.set)
            # Daemon: a coroutine that never ends must not keep the process from ending.
            threading.Thread(target=_loop.run_forever, name="carboy-loop", daemon=True).start()
            started.wait()
        return _loop


def _start(
    loop: asyncio.AbstractEventLoop,
    func: Callable[..., Coroutine[Any, Any, Any]],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    context: contextvars.Context,
    future: Future[Any],
) -> None:
    """On the loop: run the coroutine as a task in the caller's context."""

    async def run() -> Any:
        return await func(*args, **kwargs)

    task = loop.create_task(run(), context=context)
    task.add_done_callback(lambda done: _settle(done, future))
    future.add_done_callback(
        lambda given_up: given_up.cancelled() and loop.call_soon_threadsafe(task.cancel)
    )


def _running_here() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _settle(task: asyncio.Task[Any], future: Future[Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    if task.cancelled():
        future.set_exception(asyncio.CancelledError())
    elif (error := task.exception()) is not None:
        future.set_exception(error)
    else:
        future.set_result(task.result())


def _adopt(context: contextvars.Context) -> None:
    """Context variables that the coroutine has set hold in its caller too."""
    for variable, value in context.items():
        if variable.get(_MISSING) is not value:
            variable.set(value)


def _forget() -> None:
    """In a forked child: the thread of the loop stayed behind with the parent."""
    global _loop, _lock
    _loop = None
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
