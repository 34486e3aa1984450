"""The coroutines of a worker: the tasks of its event loops, and the requests that they run.

Any thread may call this. The frames are those of a moment ago, because the loop runs meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import field
from types import FrameType
from typing import Any

from carboy.net.worker_loop import running_loops
from carboy.server.admin.frames import call_of
from carboy.server.dataclass import dataclass
from carboy.server.raw_socket import has_switched_protocol
from carboy.thread_frames import task_frames

MOST_GROUPS = 200  # stacks that differ; an application has far fewer


@dataclass(slots=True)
class Waiting:
    """A coroutine that waits."""

    name: str
    frames: list[FrameType]
    exchange: Any  # the request that it runs, None without one

    @property
    def began(self) -> float:
        """When its request began, in monotonic seconds; 0.0 without one."""
        return (self.exchange.arrived or self.exchange.began) if self.exchange is not None else 0.0


@dataclass(slots=True)
class _Group:
    oldest: Waiting
    count: int = 0
    key: Any = field(default=None)


def waiting_coroutines() -> Iterator[Waiting]:
    """The coroutines of all loops that wait for something."""
    for loop in running_loops():
        import asyncio

        for task in asyncio.all_tasks(loop.start()):
            frames = task_frames(task)
            if not frames:
                continue
            finder = loop.watch.requests.get(frames[0].f_code)
            yield Waiting(task.get_name(), frames, finder(frames[0]) if finder else None)


def is_websocket(exchange: Any) -> bool:
    """Whether a request has become a WebSocket, or another protocol of the application."""
    channel = getattr(exchange, "channel", None)
    return (channel is not None and channel.upgraded) or has_switched_protocol(exchange)


def task_stacks() -> list[dict[str, Any]]:
    """The stacks of coroutines that wait, outermost call first. Those that are equal are one entry.

    An entry has the request and the age of the oldest of its coroutines.
    """
    groups: dict[Any, _Group] = {}
    for each in waiting_coroutines():
        lines = tuple((frame.f_code, frame.f_lineno) for frame in each.frames)
        key = (each.exchange is not None, is_websocket(each.exchange), lines)
        if key not in groups and len(groups) >= MOST_GROUPS:
            continue
        group = groups.setdefault(key, _Group(each))
        group.count += 1
        if each.began < group.oldest.began:
            group.oldest = each
    return [_described(each) for each in groups.values()]


def _described(group: _Group) -> dict[str, Any]:
    oldest = group.oldest
    exchange = oldest.exchange
    return {
        "thread": oldest.name,
        "id": None,
        "coroutine": True,
        "websocket": is_websocket(exchange),
        "count": group.count,
        "request": None if exchange is None else exchange.request_line(),
        "seconds": round(time.monotonic() - oldest.began, 3) if oldest.began else None,
        "frames": [call_of(frame) for frame in oldest.frames],
    }
