"""The Python calls of one request, counted inside a real server from `recv` to `send`."""

from __future__ import annotations

import threading
from types import FrameType
from typing import Any

from live_engine import served

WARM_UP = 3


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
    threading.setprofile(recorder)
    try:
        with served(app, record=record, threads=1, **settings) as live:
            with live.client() as client:
                for data in requests * (WARM_UP + 1):
                    client.send(data)
                    client.reply(data.split(b" ", 1)[0].decode())
    finally:
        threading.setprofile(None)
    return recorder.calls
