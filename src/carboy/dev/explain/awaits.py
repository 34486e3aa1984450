"""Coroutines in a recording: the time between two resumptions is a call that waits.

A coroutine that awaits something returns to the event loop, which calls it again later. So the
recording has several calls of it. What it has waited for in between has no calls of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from carboy.dev.explain import places

if TYPE_CHECKING:
    from carboy.dev.explain.tree import Node, Track

# The coroutines that an event loop of Carboy runs for a request: (module, name).
OUTERMOST = {
    ("carboy.gateway.asgi", "Request.run"),
    ("carboy.gateway.asgi_websocket", "WebSocketCall.run"),
    ("carboy.app.loop", "_run"),
    ("carboy.realtime.websocket_call", "HandlerCall._await"),
}
# What the loop runs before them.
STARTS = {("carboy.net.loop", "Loop._run_calls"), ("carboy.app.loop", "Awaited._start")}
# What threads run while the thread that leads waits for the client of a WebSocket.
ON_THREADS = {
    ("carboy.realtime.websocket_call", "HandlerCall._run"),
    ("carboy.realtime.websocket_waiter", "Waiter.on_thread.<locals>.run"),
}
LOOP = ("asyncio", "selectors")  # modules of the event loop
LOOPS_OWN = (places.PYTHON, places.C_CODE, places.KERNEL)  # packages of what it calls itself


def period(tracks: Iterable[Track]) -> tuple[int, int] | None:
    """From the start of the coroutines of a request to the end of the last; None without.

    Handlers of WebSockets, which threads run, count as coroutines.
    """
    calls = [node for track in tracks for node in track.walk()]
    runs = [node for node in calls if is_outermost(node) or is_on_thread(node)]
    if not runs:
        return None
    runs += [node for node in calls if (node.module, node.name) in STARTS]
    return min(node.began for node in runs), max(node.ended for node in runs)


def is_outermost(node: Node) -> bool:
    """Whether it is a call of a coroutine that the event loop runs for a request."""
    return (node.module, node.name) in OUTERMOST


def is_on_thread(node: Node) -> bool:
    """Whether it is a call that a thread makes for a WebSocket."""
    return (node.module, node.name) in ON_THREADS


def with_awaits(track: Track) -> None:
    """Keep the calls of a request on the thread of a loop, with its waits between them."""
    roots: list[Node] = []
    before: Node | None = None
    now = 0
    for root in [node for each in track.roots for node in _without_the_loop(each)]:
        run = next(filter(is_outermost, root.walk()), None)
        if run is not None and before is not None and root.began > now:
            roots.append(_wait(before, now, root.began))
        roots.append(root)
        before = run or before
        now = max(now, root.ended)
    track.roots = roots


def _without_the_loop(node: Node) -> Iterable[Node]:
    """The calls that the event loop makes for a request: tasks and callbacks."""
    if not node.module.startswith(LOOP) and node.place.package not in LOOPS_OWN:
        yield node
        return
    for child in node.children:
        yield from _without_the_loop(child)


def _wait(before: Node, began: int, ended: int) -> Node:
    """The time between two calls of a coroutine, at the place where it was suspended."""
    found = inner = before
    while coroutines := [each for each in inner.children if _is_coroutine(each)]:
        inner = coroutines[-1]
        if inner.place.package not in LOOPS_OWN:
            found = inner
    place = replace(found.place, room=places.WAITING)
    return replace(
        found, name=f"await in {found.name}", place=place, began=began, ended=ended,
        args=(), result="", code=None, children=[],
    )  # fmt: skip


def _is_coroutine(node: Node) -> bool:
    return node.code is not None and bool(node.code.co_flags & inspect.CO_COROUTINE)
