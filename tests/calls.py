"""Counts calls: of an action, and of one request inside a real server from `recv` to `send`.

Meanwhile no garbage is collected, because the finalizers of other tests' objects are calls too.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from carboy.speedups import speedups
from live_engine import served

WARM_UP = 3


@contextmanager
def without_collections() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def number_of_calls(action: Callable[[], object]) -> int:
    """The number of functions of Python and C that are called, and that return."""
    seen = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal seen
        seen += 1

    with without_collections():
        sys.setprofile(count)
        try:
            action()
        finally:
            sys.setprofile(None)
    return seen


class Recorder:
    """Notes each Python function that is called between a `recv` and the `send` after it.

    A profile function, not a clock: what it finds is the same on every machine.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.reading: list[str] | None = None

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        if event == "c_call":
            name = arg.__name__
            if name == "recv":
                self.reading = []
            elif name in {"send", "sendmsg"} and self.reading is not None:
                self.calls, self.reading = self.reading, None
        elif event == "call" and self.reading is not None:
            code = frame.f_code
            self.reading.append(f"{code.co_filename.rpartition('carboy/')[2]}:{code.co_name}")


def calls_of(app: Any, *requests: bytes, record: bool = False, **settings: Any) -> list[str]:
    """The functions called for the last of `requests`, each sent WARM_UP times before."""
    recorder = Recorder()
    # On a loaded machine a handler may seem slow, and the server would look closer.
    settings.setdefault("inline_budget", 60.0)
    threading.setprofile(recorder)
    speedups.hold("calls are counted")  # of Python functions
    try:
        with (
            without_collections(),
            served(app, record=record, threads=1, **settings) as live,
        ):
            with live.client() as client:
                for data in requests * (WARM_UP + 1):
                    client.send(data)
                    client.reply(data.split(b" ", 1)[0].decode())
    finally:
        threading.setprofile(None)
        speedups.release("calls are counted")
    return recorder.calls
