"""Does not let every request wait for an engine that does not answer.

An engine that refuses connections costs no time, and one that hangs costs each request a timeout
and its thread. So after an attempt that failed late, no other is made for PAUSE. Then one thread
tries, and the others fail at once until it has succeeded.

    any thread    reads and writes `_closed_until`, each in one step. Two threads may try at the
                  same moment, which costs both a timeout and does no harm.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from carboy.shared.errors import EngineUnavailable

PAUSE = 1.0  # seconds between two attempts
LATE = 0.25  # seconds after which a failure counts as that of an engine that hangs
LONGEST = 30.0  # seconds, more than any timeout of the engines


class Breaker:
    """The attempts to use one engine; `shown` is its name in errors."""

    def __init__(self, shown: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._shown = shown
        self._clock = clock
        self._closed_until = 0.0  # seconds of the clock; 0.0: the engine answers

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Use the engine inside. Raises EngineUnavailable if it has not answered a moment ago."""
        began, closed_until = self._clock(), self._closed_until
        if closed_until:
            if began < closed_until:
                raise EngineUnavailable(f"{self._shown} did not answer in time a moment ago.")
            self._closed_until = began + LONGEST  # or until this attempt is over
        answered = False
        try:
            yield
            answered = True
        finally:
            ended = self._clock()
            if not answered and ended - began > LATE:
                self._closed_until = ended + PAUSE
            elif closed_until:
                self._closed_until = 0.0
