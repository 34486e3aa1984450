"""Samples of what the threads of this worker do, taken by a thread of the admin server.

A sample has the stack of each thread that runs a request, from the call of the application on.
Nothing is recorded for it while requests run: the functions that run requests have them as local
variables, and these are read.

thread `carboy-admin`   takes the samples, and alone has the CallTree; started for one profile
any other thread        is only looked at; the interpreter lock orders the two

A look needs the interpreter lock, which threads that run Python code release when they wait: for a
short view, always when they send. Looks at these moments alone would show nothing else. So the
switch interval is SHORT for a random time before each look: the thread that looks then gets the
lock nearly at once, wherever the others are. While code holds the lock for longer than the time
between two samples, the next sample counts for those that were missed, because it shows where that
code ends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextvars import Context
from functools import partial
from types import CodeType, FrameType
from typing import Any

from carboy.gateway.route import KEY, route_of
from carboy.late import random
from carboy.net.worker_loop import running_loops
from carboy.request_identity import current, runners
from carboy.server.admin.call_tree import CallTree
from carboy.server.admin.frames import RUN
from carboy.server.switch_interval import briefly
from carboy.thread_frames import thread_frames
from carboy.time_limits import Wait

NO_ROUTE = "(no route)"
WAITS = "(waits for {})"
WHOLE = "all"  # value of `threads`: also those that run no request
SHORT = 1e-5  # seconds: the switch interval before a look
SPREAD = 1e-3  # seconds for which it is so short at most; some views are shorter
SLEEP = 0.25  # seconds at most until a profile notices that it is to end
MOST_CODES = 50_000  # functions that are remembered; an application may make them all the time

Clock = Callable[[], float]
Finder = Callable[[FrameType], Any]
# By the identity of a function's code: the code, and what finds the request in its frames. The hash
# of a code object takes long.
Known = dict[int, tuple[CodeType, Finder | None]]


def sample(
    tree: CallTree,
    seconds: float,
    rate: float,
    whole: bool,
    over: Callable[[], str],
    clock: Clock = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
    moment: Callable[[], object] | None = None,
) -> dict[str, Any]:
    """Sample for `seconds`, or until `over` returns why to end; returns what was done.

    `rate`: samples in a second. `whole`: also threads that run no request. `moment` is called
    before each look, and waits for a moment that the other threads do not choose.
    """  # fmt: skip
    began = now = clock()
    due = began
    taken = missed = 0
    longest = 0.0
    ended = ""
    known: Known = {}
    while now < began + seconds and not (ended := over()):
        if now < due:
            sleep(min(due - now, SLEEP))
        else:
            late = int((now - due) * rate)
            (moment or random_moment)()
            add_all(tree, whole, 1 + late, known)
            taken += 1
            missed += late
            longest = max(longest, now - due)
            due += (1 + late) / rate
        now = clock()
    return {
        "seconds": round(now - began, 3), "rate": rate, "samples": taken, "missed": missed,
        "latest": round(longest, 3), "ended": ended,
    }  # fmt: skip


def random_moment() -> None:
    """Return at a time that does not depend on when other threads release the interpreter lock."""
    with briefly(SHORT):
        time.sleep(random.random() * SPREAD)


def add_all(tree: CallTree, whole: bool, count: int, known: Known) -> None:
    """Add the stacks of all threads now."""
    own = threading.get_ident()
    if len(known) > MOST_CODES:
        known.clear()
    for ident, frame in thread_frames().items():
        if ident == own:
            continue
        codes, exchange = request_stack(frame, known)
        if exchange is not None:
            tree.add(route(exchange), with_services(codes, exchange), count)
        elif whole:
            tree.add(f"(thread {_name(ident)})", codes, count)


def request_stack(frame: FrameType | None, known: Known) -> tuple[list[CodeType], Any]:
    """The functions of a stack inside the call that runs a request, and the request.

    Without a request: all functions, and None.
    """
    codes: list[CodeType] = []
    while frame is not None:
        code = frame.f_code
        found = known.get(id(code))
        if found is None:
            found = known[id(code)] = code, _request_finder(frame)
        if found[1] is not None:
            exchange = found[1](frame)
            if exchange is not None:
                return codes, exchange
        codes.append(code)
        frame = frame.f_back
    return codes, None


def _request_finder(frame: FrameType) -> Finder | None:
    """The function that finds the request in a frame of this code; None if it runs no request."""
    code = frame.f_code
    if code in RUN:
        return _of_runner
    if code in runners:
        return runners[code]
    for loop in running_loops():
        if code in loop.watch.requests:
            return loop.watch.requests[code]
    module = str(frame.f_globals.get("__name__"))
    for qualname, package, context_of in _HAND_OVERS:
        if code.co_qualname == qualname and module.startswith(package):
            return partial(_handed_over, context_of)
    return None


def route(exchange: Any) -> str:
    """The rule of a request that runs; a framework may not have noted it yet."""
    found = route_of(exchange)
    if not found and (environ := exchange.cached_environ) is not None:
        rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
        found = environ.get(KEY) or getattr(rule, "rule", "")
        if exchange.mounted_at and found:
            found = f"{exchange.mounted_at}{found}"
    return str(found or NO_ROUTE)


def with_services(codes: Sequence[CodeType], exchange: Any) -> Sequence[CodeType | str]:
    """The functions of a stack, and the services that its request waits for (carboy.waiting_for).

    A service is inside the function that has said so. If this function is not in the stack, because
    it has handed a call to another thread, the service is outside of all functions.
    """
    waits: Sequence[Wait] = exchange.services
    if not waits:
        return codes
    found: list[CodeType | str] = list(codes)
    at = len(found)
    for wait in waits[:]:
        inside = found[:at]
        if wait.code in inside:
            at = inside.index(wait.code)
        found.insert(at, WAITS.format(wait.service))
    return found


def _name(ident: int) -> str:
    for each in threading.enumerate():
        if each.ident == ident:
            return each.name
    return str(ident)


def _of_runner(frame: FrameType) -> Any:
    return frame.f_locals.get("exchange")


# --- threads to which a coroutine has handed a call, with its context


def _of_anyio(frame: FrameType) -> Any:  # WorkerThread.run: FastAPI, Starlette, Litestar
    return frame.f_locals.get("context")


def _of_executor(frame: FrameType) -> Any:  # _WorkItem.run: asyncio.to_thread
    function = getattr(frame.f_locals.get("self"), "fn", None)
    return getattr(getattr(function, "func", None), "__self__", None)


def _of_asgiref(frame: FrameType) -> Any:  # SyncToAsync.thread_handler: Django
    return getattr(frame.f_locals.get("func"), "__self__", None)


_HAND_OVERS: tuple[tuple[str, str, Finder], ...] = (
    ("WorkerThread.run", "anyio.", _of_anyio),
    ("_WorkItem.run", "concurrent.futures.", _of_executor),
    ("SyncToAsync.thread_handler", "asgiref.", _of_asgiref),
)


def _handed_over(context_of: Finder, frame: FrameType) -> Any:
    """The request in whose context a thread runs, or None."""
    context = context_of(frame)
    known = context.get(current) if isinstance(context, Context) else None
    return None if known is None else known()
