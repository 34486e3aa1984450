"""UUIDs of version 7 (RFC 9562, section 5.7), which the standard library has from Python 3.14 on.

48 bits of milliseconds, 42 bits of a counter and 32 random bits. The counter begins at a random
number below 2**41 in each millisecond (section 6.2, method 1), so the ids of a process are in the
order in which they were made. A clock that goes back does not change that.
"""

from __future__ import annotations

import os
import random  # seeded again in a process that is forked
import threading
import time

COUNTER_BITS = 42


class Uuid7:
    """A source of ids for the threads of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._milliseconds = 0
        self._counter = 0

    def __call__(self) -> str:
        """The next id, as 36 characters in lower case."""
        now = time.time_ns() // 1_000_000
        with self._lock:
            if now > self._milliseconds:
                self._milliseconds = now
                self._counter = random.getrandbits(COUNTER_BITS - 1)
            else:
                self._counter += 1
                if self._counter >> COUNTER_BITS:  # section 6.2: the time is increased
                    self._milliseconds += 1
                    self._counter = 0
                now = self._milliseconds
            counter = self._counter
        return (
            f"{now >> 16 & 0xFFFFFFFF:08x}-{now & 0xFFFF:04x}-7{counter >> 30:03x}"
            f"-{0x8000 | counter >> 16 & 0x3FFF:04x}-{counter & 0xFFFF:04x}"
            f"{random.getrandbits(32):08x}"
        )

    def after_fork(self) -> None:
        """Make a lock that no thread of the parent holds, and have the next id begin a counter."""
        self._lock = threading.Lock()
        self._milliseconds = 0


uuid7 = Uuid7()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=uuid7.after_fork)
