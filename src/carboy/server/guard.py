"""A guard around each call of the application, by which a request over its time limit is ended.

The thread of the time limits (server/time_limits.py) takes the connection of such a request,
answers its client, and raises RequestTimeout in the thread that runs it. PyThreadState_SetAsyncExc
does that: the exception is noted for the thread and raised there at one of its next steps of Python
code. This file makes sure that it is raised once at most, and only inside this call of the
application.

    the thread that runs the request          the thread of the time limits
    E.thread = its identifier
    the application runs
    E.thread = 0                        (a)   E.overdue = an Overdue, whose lock it has     (c)
    is E.overdue None?                  (b)   is E.thread 0?                                (d)
        yes: it goes on                           yes: it leaves the request alone
        no: it settles                            no: it answers; it notes the exception    (e)
                                              it releases the lock

*No other request gets the exception.* Each attribute is written before the other one is read, and
both are entries of one dictionary, whose changes all threads see in one order. If the first thread
has found None (b), then (c) came after (b), so (d) finds 0 and there is no exception. Otherwise it
settles: it takes the lock, so everything in (e) has happened or never will, because each later (e)
also needs the lock and reads `thread` first. Then it has a noted exception raised, before it
returns to the server, and the handler below catches it. None is noted then: the other
thread notes one at most (`delivered`), and a thread has room for one.

*Nothing of the server is skipped.* Between (a) and the end of the settling, all code is inside one
`try`. Inside the application, the exception is not noted while the thread is in code of the server
that the application has called, in the teardown functions, in `logging` or in an import (see
`may_interrupt`). These hold locks, or end what others need. The look and the note are two steps, so
a thread may enter such code in the few microseconds between them; all locks of the server are taken
by `with`, which releases them in this case as well.

*A `finally` block* is interrupted at most once, since there is one exception for each request.

The guard costs a request one call and a few assignments, and a connection a lock, which is made
before `thread` is set. It is there only if there are time limits.
"""

from __future__ import annotations

import ctypes
import logging
import os
import traceback
from _thread import allocate_lock, get_ident
from collections.abc import Callable
from enum import Enum
from functools import partial
from pathlib import Path
from threading import RLock
from types import CodeType, FrameType
from typing import Any

from carboy.gateway.interface import ANSWERED, LATER, Answer, Gateway
from carboy.server.connection import ClientGone
from carboy.server.exchange import Headers, ServerExchange
from carboy.server.identity import log_about
from carboy.thread_frames import task_frames
from carboy.time_limits import RequestTimeout, TimeLimit, shielded

PACKAGE = Path(__file__).resolve().parents[1]
# Frames in these folders of the package are the server's.
SERVER = tuple(f"{PACKAGE / name}{os.sep}" for name in ("server", "net", "protocol"))
# The innermost frame may not be in these: the application is about to be called, or has returned.
CYCLE = (str(PACKAGE / "app" / "cycle.py"), str(PACKAGE / "app" / "stepwise.py"))
BETWEEN = (*SERVER, f"{PACKAGE / 'gateway'}{os.sep}", *CYCLE)
OURS = f"{PACKAGE}{os.sep}"
IMPORTING = "<frozen importlib"
LOCKING = {
    logging.Handler.handle.__code__,
    logging.Handler.acquire.__code__,
    logging.Handler.release.__code__,
}


class Stage(Enum):
    """The state of a request that was found to be over its time limit."""

    DECIDING = "the thread of the time limits looks at it"
    MISSED = "the application had returned before anything was done"
    ANSWERED = "the client has its response, or its connection is cut"
    UNANSWERED = "its own thread has to answer, because it uses the connection"


class Overdue:
    """A request over its time limit. Made with its lock taken, for the thread of the limits."""

    __slots__ = ("at", "delivered", "ended", "limit", "lock", "stage", "stuck")

    def __init__(self, limit: TimeLimit, now: float) -> None:
        self.limit = limit
        self.at = now  # monotonic seconds
        self.stage = Stage.DECIDING
        self.delivered = False  # the exception was noted
        self.ended = False  # the application has returned
        self.stuck = False  # the log says that it has not
        self.lock = allocate_lock()
        self.lock.acquire()

    def settle(self) -> None:
        """Wait until the decision is made; raises RequestTimeout if it was noted. For its thread.

        It is noted again, so that it is raised here whether it was raised before or not. It is not
        removed: Python 3.11 would look for it in each later call of every thread, in vain, and a
        thread with a trace function would never end its next call.
        """
        with self.lock:
            delivered = self.delivered
        if delivered:
            raise_in(get_ident(), RequestTimeout)
            for _ in range(100):
                pass


class Guard:
    """Calls the gateway `inner`. All other attributes are those of `inner`."""

    def __init__(self, inner: Gateway) -> None:
        self._inner = inner
        self.prepare = inner.prepare
        self.body_limit = inner.body_limit
        self.wants_stream = inner.wants_stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def handle(self, exchange: Any) -> Answer:
        """Have `inner` handle the exchange."""
        answer = ANSWERED
        error: BaseException | None = None
        connection = exchange.connection
        if connection.taking is None:
            connection.taking = RLock()
        try:
            exchange.thread = get_ident()
            try:
                answer = self._inner.handle(exchange)
            except BaseException as raised:
                error = raised
            exchange.thread = 0
            if exchange.overdue is None:
                if error is None:
                    return answer
            else:
                exchange.overdue.settle()
        except RequestTimeout:
            exchange.thread = 0
        return after(exchange, answer, error)

    def continued(self, continuation: Callable[[Any], Answer]) -> Callable[[Any], Answer]:
        """A continuation of a request, under a guard."""
        return partial(_continue, continuation)


class _Continued:
    """A gateway whose `handle` is a continuation."""

    __slots__ = ("handle",)

    def __init__(self, handle: Callable[[Any], Answer]) -> None:
        self.handle = handle


def _continue(continuation: Callable[[Any], Answer], exchange: Any) -> Answer:
    overdue = exchange.overdue
    if overdue is None:
        guard = Guard.__new__(Guard)
        guard._inner = _Continued(continuation)  # type: ignore[assignment]
        return guard.handle(exchange)
    # The client has its response: the application only ends its request.
    try:
        return after(exchange, continuation(exchange), None)
    except BaseException as error:
        return after(exchange, ANSWERED, error)


def after(exchange: ServerExchange, answer: Answer, error: BaseException | None) -> Answer:
    """The answer of the application, or its error, unless the client was answered before."""
    overdue = exchange.overdue
    if overdue is None or overdue.stage is Stage.MISSED:
        exchange.overdue = None  # what comes later, through a channel, has the limit as well
        if error is None:
            return answer
        try:
            raise error
        finally:
            del error  # its traceback has this frame
    first, overdue.ended = not overdue.ended, True
    if overdue.stage is Stage.UNANSWERED:
        if error is None and answer is not ANSWERED:
            return answer
        status, headers, text = response_of(overdue.limit)
        exchange.connection.machine.close_after_response()
        return status, headers, text, None
    if answer is LATER:
        if first and not overdue.delivered:  # the application does not know it yet
            getattr(exchange.receiver, "overdue", _nothing)()
        return answer
    exchange.made = b""
    _drop(exchange, answer, error)
    return ANSWERED


def _nothing() -> None:
    pass


def _drop(exchange: ServerExchange, answer: Answer, error: BaseException | None) -> None:
    """Close what the application has returned; log its error, unless that says only that."""
    close = answer[3]
    if close is not None:
        try:
            close()
        except BaseException as failure:
            error = error or failure
    if isinstance(error, Exception) and not isinstance(error, (ClientGone, ConnectionError)):
        log_about(
            exchange,
            logging.ERROR,
            "The application failed after its time limit: %s.",
            exchange.request_line(),
            exc_info=error,
        )


def response_of(limit: TimeLimit) -> tuple[str, Headers, bytes]:
    """The response to a request over its limit: 504 if it waits for a service, else 503."""
    if limit.upstream:
        status, why = "504 Gateway Timeout", "another service did not answer in time"
    else:
        status, why = "503 Service Unavailable", "the request took too long"
    retry = max(1, min(30, round(limit.seconds)))
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Retry-After", str(retry))]
    return status, headers, f"{status}: {why}; try again later.\n".encode()


# --- the exception, for the thread of the time limits


def raise_in(thread: int, error: type[BaseException]) -> None:
    """Note an exception for a thread, instead of one that was noted before."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))


def deliver(exchange: ServerExchange, overdue: Overdue, frame: FrameType | None) -> bool:
    """Raise RequestTimeout where the request runs; False if it has to be tried again.

    With the lock. `frame` is the innermost one of the thread.
    """
    if not exchange.thread or overdue.delivered:
        return True
    if frame is None or not may_interrupt(frame):
        return False
    overdue.delivered = True
    raise_in(exchange.thread, RequestTimeout)
    return True


def may_interrupt(frame: FrameType | None) -> bool:
    """Whether the exception does no harm where a thread is."""
    if frame is None or frame.f_code.co_filename.startswith(BETWEEN):
        return False
    while frame is not None and frame.f_code not in OUTERMOST:
        code = frame.f_code
        if code in shielded or code in LOCKING:
            return False
        if code.co_filename.startswith((IMPORTING, *SERVER)):
            return False
        frame = frame.f_back
    return True


OUTERMOST: frozenset[CodeType] = frozenset((Guard.handle.__code__, _continue.__code__))


def stack_of(frame: FrameType | None) -> str:
    """The calls of the application in a thread, innermost last, as in a traceback."""
    frames: list[FrameType] = []
    while frame is not None and frame.f_code not in OUTERMOST:
        frames.append(frame)
        frame = frame.f_back
    return _formatted(frames[::-1])


def stack_of_task(task: Any) -> str:
    """The calls of a coroutine that waits, innermost last."""
    return _formatted(task_frames(task))


def _formatted(frames: list[FrameType]) -> str:
    """Without the outer calls, which are Carboy's own."""
    own = [frame.f_code.co_filename.startswith(OURS) for frame in frames]
    first = own.index(False) if False in own else 0
    lines = traceback.StackSummary.extract((frame, frame.f_lineno) for frame in frames[first:])
    return "".join(lines.format()).rstrip("\n")
