"""Coroutines of an application, on the event loop of the process (net/worker_loop.py).

Objects that belong to a loop (a pool of database connections, the sessions of an HTTP client) can
therefore serve every request of a worker. The loop runs in its own thread, and the coroutines of
all requests run concurrently on it. There are two ways to wait for one:

    a view on Carboy's own server   the request cycle ends before the view (Suspended) and continues
                                    when the view has been awaited; no thread waits
    anything else                   the thread that calls the coroutine function waits for it

A coroutine that keeps the loop from running stops all other coroutines of the process. LoopWatch
reports it. The threads that wait for the loop look at it from time to time, and so does the server
while views are awaited.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import partial, update_wrapper
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

from carboy.app.active import Suspended, _cv, exchange_of
from carboy.net import loop_watch
from carboy.net.worker_loop import worker_loop
from carboy.time_limits import RequestTimeout

if TYPE_CHECKING:
    from carboy.gateway.interface import Answer, Channel

__all__ = ["waiting_for"]

log = logging.getLogger("carboy.error")


_MISSING = object()


class _Call:
    """A call of a coroutine function: what the waiting thread passes to the loop."""

    __slots__ = (
        "args", "context", "exchange", "func", "future", "kwargs", "left", "overdue", "task",
    )  # fmt: skip

    def __init__(
        self, func: Callable[..., Coroutine[Any, Any, Any]], args: Any, kwargs: dict[str, Any]
    ) -> None:
        self.func = func
        self.args = args
        self.kwargs = kwargs
        self.context = contextvars.copy_context()
        self.future: Future[Any] = Future()
        self.task: asyncio.Task[Any] | None = None
        self.exchange: Any = None  # of the request; set when the call takes long
        self.left = False  # the client has gone, and the task was cancelled
        self.overdue = False  # because the request is over its time limit

    def later(self, exchange: Any, resume: Callable[..., Any]) -> Answer:
        """Have the server go on with other requests, and call `resume` after this call."""
        answer: Answer = exchange.later(Awaited(self, exchange, resume))
        return answer

    def name(self) -> str:
        """The name of this call in a log."""
        name = getattr(self.func, "__qualname__", repr(self.func))
        line = getattr(self.exchange, "request_line", None)
        return f"{line()}: {name}()" if line is not None else f"{name}()"


def waiting_for(func: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
    """A plain function that runs `func` on the loop and returns its result or raises its error.

    The coroutine sees the context variables of its caller, and the caller sees those that the
    coroutine has set. The coroutine is cancelled when the client of the request disconnects.
    Raises RuntimeError if the caller runs on the loop, because it would wait for itself.
    """

    def wait(*args: Any, **kwargs: Any) -> Any:
        loop = the_loop()
        if running_here() is loop:
            raise RuntimeError(
                f"{getattr(func, '__name__', func)!r} is a coroutine function and was called"
                " like a plain one inside the event loop. Call it with await there."
            )
        call = _Call(func, args, kwargs)
        loop.call_soon_threadsafe(_start, loop, call)
        try:
            return _result(loop, call)
        except BaseException:
            # Ctrl+C in the waiting thread: the result is no longer needed.
            call.future.cancel()
            raise
        finally:
            _adopt(call.context)

    def suspend(*args: Any, **kwargs: Any) -> Any:
        ctx = getattr(_cv.get(), "request_ctx", None)
        if ctx is not None and may_suspend(ctx):
            raise Suspended(_Call(func, args, kwargs))
        return wait(*args, **kwargs)

    wait.suspending = suspend  # type: ignore[attr-defined]  # for the cycle, see plan.learn_view
    return update_wrapper(wait, func)


def may_suspend(ctx: Any) -> bool:
    """Whether the cycle may end before the view, and continue when the view has been awaited.

    Only on Carboy's own server, on the direct lane, and if no code of the application is between
    the cycle and the view.
    """
    exchange = ctx.exchange
    return (
        getattr(exchange, "may_answer_later", False)
        and not exchange.head.upgrade
        and not (exchange.body is not None and ctx.app.direct_wants_stream(exchange))
        and ctx.app._plan_made is not None
        and ctx.app._plan_made.suspends
    )


class Awaited:
    """A view that is awaited without a thread: a Receiver of gateway.interface.

    The coroutine runs in the context of its request. The rest of the cycle, `resume`, is called
    by a thread of the server with what gives the result. If the client disconnects, the coroutine
    is cancelled, and the cycle ends as for any other error.
    """

    resumes = True

    def __init__(self, call: _Call, exchange: Any, resume: Callable[..., Any]) -> None:
        self._call = call
        self._context = exchange.context
        self._resume = resume
        self._channel: Channel
        call.exchange = exchange

    # --- on the thread that reads requests

    def begin(self, channel: Channel) -> None:
        """Have the loop await the view."""
        self._channel = channel
        the_loop().call_soon_threadsafe(self._start)

    def changed(self) -> None:
        """Cancel the coroutine if the client has disconnected."""
        if self._channel.gone and not self._call.left:
            self._call.left = True
            the_loop().call_soon_threadsafe(_cancel, self._call)

    @property
    def task(self) -> asyncio.Task[Any] | None:
        """The task of the coroutine; None: it has not begun."""
        return self._call.task

    def overdue(self) -> None:
        """Cancel the coroutine: the request is over its time limit, and its client was answered."""
        self._call.left = self._call.overdue = True
        the_loop().call_soon_threadsafe(_cancel, self._call)

    # --- on the loop

    def _start(self) -> None:
        call = self._call
        call.task = worker_loop().run_request(_run(call), self._context)
        call.task.add_done_callback(self._done)
        if call.left:
            call.task.cancel()

    def _done(self, task: asyncio.Task[Any]) -> None:
        try:
            self._channel.resume(partial(self._resume, partial(_result_of, self._call, task)))
        except ConnectionError:  # the server has ended
            if not task.cancelled():
                task.exception()  # retrieved, so that the loop does not report it


def _result_of(call: _Call, task: asyncio.Task[Any]) -> Any:
    if call.overdue and task.cancelled():
        raise RequestTimeout
    return task.result()


def _result(loop: asyncio.AbstractEventLoop, call: _Call) -> Any:
    """Wait until the coroutine ends; from time to time, check the loop and the client."""
    while True:
        try:
            return call.future.result(loop_watch.LOOK)
        except TimeoutError:
            if call.future.done():
                break  # a TimeoutError of the coroutine, or the coroutine has just ended
        if call.exchange is None:
            call.exchange = exchange_of_caller(_cv.get())
        worker_loop().watch.look()
        # This thread owns the connection while its request runs, so it may check it. It still
        # waits after that, because the coroutine may have to clean up.
        has_left = getattr(call.exchange, "has_left", None)
        if has_left is not None and not call.left and has_left():
            call.left = True
            loop.call_soon_threadsafe(_cancel, call)
    return call.future.result()


def exchange_of_caller(frame: Any) -> Any:
    """The exchange of the request in a Frame; None under other servers."""
    ctx = getattr(frame, "request_ctx", None)
    if ctx is None or ctx.exchange is not None:
        return ctx and ctx.exchange
    return ctx.environ.get("carboy.exchange") if ctx.environ else exchange_of(ctx.request)


def name_calls(
    outermost: CodeType, named: Callable[[FrameType], str], request: Callable[[FrameType], Any]
) -> None:
    """Have reports about the loop name the calls inside the frames of a code, and its request."""
    worker_loop().watch.learn(outermost, named, request)


def the_loop() -> asyncio.AbstractEventLoop:
    """The loop of this process, which starts when it is first used."""
    loop = worker_loop()
    loop.watch.learn(_run.__code__, _name_of, _exchange_of)
    return loop.start()


async def _run(call: _Call) -> Any:
    return await call.func(*call.args, **call.kwargs)


def _name_of(frame: FrameType) -> str:
    call: _Call = frame.f_locals["call"]
    return call.name()


def _exchange_of(frame: FrameType) -> Any:
    call: _Call = frame.f_locals["call"]
    return call.exchange or exchange_of_caller(call.context.get(_cv))


def _start(loop: asyncio.AbstractEventLoop, call: _Call) -> None:
    """On the loop: run the coroutine as a task in the caller's context."""
    task = call.task = loop.create_task(_run(call), context=call.context)
    future = call.future
    task.add_done_callback(lambda done: _settle(done, future))
    future.add_done_callback(
        lambda given_up: given_up.cancelled() and loop.call_soon_threadsafe(task.cancel)
    )


def _cancel(call: _Call) -> None:
    """On the loop: raise CancelledError where the coroutine waits."""
    if call.task is not None:
        call.task.cancel()


def running_here() -> asyncio.AbstractEventLoop | None:
    """The event loop of this thread, while it runs."""
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
    """Set the context variables that the coroutine has set in its caller as well."""
    for variable, value in context.items():
        if variable.get(_MISSING) is not value:
            variable.set(value)
