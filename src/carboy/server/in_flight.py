"""The requests that a worker runs, in memory that its supervisor can read.

A worker whose interpreter lock is held, or that has been killed, cannot be asked for its requests.
So they are written to shared memory beforehand:

    place 0       the first bytes of the request that the leader ran last, or has read a part of
    other places  a request that runs on another thread: when it was dispatched, its first line

A place is taken from `_free` and given back by whichever thread runs the request: deque and dict
do each step at once, so no lock is needed. The watcher that takes the lead from a thread calls
`begin` while that thread may be calling `end` already. `begin` writes the place and then reads
`exchange.returned`, the other thread sets `returned` and then looks for the place, so at least
one of the two sees what the other did and frees the place.
"""

from __future__ import annotations

import mmap
import os
import re
import struct
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carboy.server.exchange import ServerExchange

PLACES = 128  # more requests than this at a time are not all listed
TEXT = 240  # bytes of a request line; longer ones are cut
PLACE = struct.Struct(f"=d{TEXT}s")  # monotonic seconds, 0: free; the line
TIMES = PLACE.size // 8  # places of eight bytes in one of these
LEADER = struct.Struct(f"={TEXT}s")  # what the leader read, at the beginning of the memory

# No more is shown, because a leader may have read a piece of a request body.
_request_line = re.compile(rb"[A-Z]+ [!-~\x80-\xff]+(?: HTTP/[12](?:\.[01])?)?").match


class InFlight:
    """The requests of one worker. Made before the fork, written by the worker, read by both.

    With `fd`, the memory is that of `shared_memory`, for a worker that is not forked from here.
    """

    def __init__(self, places: int = PLACES, fd: int = -1) -> None:
        self.memory = mmap.mmap(fd, (places + 1) * PLACE.size)
        # Seconds at the start of each place; a place is a whole number of them.
        self._times = memoryview(self.memory).cast("d")
        self.read = LEADER.pack_into  # read(memory, 0, bytes): only for the leader
        self.exchanges: dict[ServerExchange, int] = {}  # the worker's: the place of each exchange
        self._free = deque(range(1, places + 1))

    @staticmethod
    def shared_memory() -> int:
        """A descriptor of memory of the right size, which can be passed to another process."""
        fd = os.memfd_create("carboy-requests")
        os.ftruncate(fd, (PLACES + 1) * PLACE.size)
        return fd

    # --- the worker

    def leader_runs(self, exchange: ServerExchange) -> None:
        """Note a request that the leader runs, if the bytes of its head are no longer at hand."""
        self.read(self.memory, 0, exchange.request_line().encode("latin-1", "replace"))

    def begin(self, exchange: ServerExchange) -> None:
        """Note a request that a thread other than the leader's runs now."""
        if exchange in self.exchanges:
            return
        try:
            place = self._free.popleft()
        except IndexError:
            place = 0  # counted, but not shown
        else:
            text = exchange.request_line()[: TEXT - 1].encode("latin-1", "replace") + b"\0"
            start = place * PLACE.size + 8
            self.memory[start : start + len(text)] = text
            self._times[place * TIMES] = exchange.began
        self.exchanges[exchange] = place
        if exchange.returned:
            self.end(exchange)

    def end(self, exchange: ServerExchange) -> None:
        """Note the end of a request; does nothing if the request was never noted."""
        place = self.exchanges.pop(exchange, 0)
        if place:
            self._times[place * TIMES] = 0.0
            self._free.append(place)

    # --- the supervisor

    def running(self) -> list[tuple[str, float]]:
        """First line and dispatch time of the requests on threads other than the leader's."""
        found: list[tuple[str, float]] = []
        for offset in range(PLACE.size, len(self.memory), PLACE.size):
            began, line = PLACE.unpack_from(self.memory, offset)
            if began:
                found.append((_text(line), began))
        return found

    def last_read(self) -> str:
        """First line of the request that the leader read last; "" if it read no request line."""
        return _text(LEADER.unpack_from(self.memory)[0])

    def describe(self) -> str:
        """Lines for the end of a log record: the requests that run or may run, oldest first."""
        now = time.monotonic()
        running = sorted(self.running(), key=lambda pair: pair[1])
        lines = [f"{line} (for {now - began:.1f} s)" for line, began in running]
        last = self.last_read()
        if last and not any(line == last for line, _ in running):
            lines.append(f"{last} (the last one that was read)")
        return "".join(f"\n  {line}" for line in ["Requests in flight:", *lines]) if lines else ""

    def close(self) -> None:
        """Free the memory."""
        self._times.release()
        self.memory.close()


def _text(octets: bytes) -> str:
    found = _request_line(octets)
    return found[0].decode("latin-1") if found else ""
