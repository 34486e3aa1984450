"""The events of an application under test, and what it waits for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

PIECES = 100
STREAMED = "".join(f"{number}," for number in range(PIECES)).encode()


class Witness:
    """The events of one application, and the permission to end a background task."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails  # the startup is to fail
        self.events: list[str] = []
        self._late = threading.Event()

    def startup(self) -> None:
        """Called in the startup. Raises LookupError if the startup is to fail."""
        self.events.append("startup")
        if self.fails:
            raise LookupError("There is no database.")

    def shutdown(self) -> None:
        self.events.append("shutdown")

    async def background(self) -> None:
        """A background task, which ends when the test allows it."""
        await asyncio.get_running_loop().run_in_executor(None, self._late.wait, 60)
        self.events.append("background")

    def allow_background(self) -> None:
        self._late.set()

    async def pieces(self) -> AsyncIterator[bytes]:
        """A stream that ends."""
        for number in range(PIECES):
            yield b"%d," % number

    async def endless(self) -> AsyncIterator[bytes]:
        """A stream of events that ends when its client leaves."""
        self.events.append("begun")
        try:
            while True:
                yield b"data: x\n\n"
                await asyncio.sleep(0.01)
        finally:
            self.events.append("left")

    async def waiting(self) -> AsyncIterator[bytes]:
        """A stream whose second event never comes, and that ends when its client leaves."""
        try:
            yield b"data: x\n\n"
            await asyncio.Event().wait()
        finally:
            self.events.append("left")
