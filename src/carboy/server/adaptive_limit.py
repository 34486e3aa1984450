"""The number of requests that run or wait at a time, by what more of them does to their time.

Decides only: it knows no clock and no request. The rule is that of Gradient2 of Netflix's
concurrency-limits: while requests take as long as they usually do, the limit grows by its square
root; when they take longer, it shrinks by that ratio.

    gradient = TOLERANCE / (time now / usual time), between 1/2 and 1
    limit    = limit * gradient + sqrt(limit), smoothed

Routes differ more from each other than from themselves, so each dispatch key has its own usual
time, and the ratios are averaged. A limit that is not used does not grow.

While no more than `first` requests run, none of them waits for another one here, and the usual time
follows theirs. While more run, it only follows those that are quicker. Otherwise it would become
that of an overload that lasts, and the limit would grow with it. If requests have become slower for
another reason, the limit shrinks below `first`, and then the usual time follows.
"""

from __future__ import annotations

import math
from collections.abc import Hashable

# The ratio up to which requests count as being as quick as usual
TOLERANCE = 1.5
SMOOTHING = 0.2
LEAST_GRADIENT = 0.5
# A change needs so many requests, and this time since the change before.
SAMPLES, WINDOW = 20, 0.25
USUAL = 300  # requests of a key over which the usual time is averaged
MUCH_QUICKER, FOLLOW = 2.0, 0.95
MOST_KEYS = 4096  # clients choose the paths


class AdaptiveLimit:
    """The limit of one worker: `first` at the start, between `least` and `most`."""

    def __init__(self, first: int, least: int, most: int) -> None:
        self.limit = float(first)
        self._first = first
        self._least = float(least)
        self._most = float(most)
        self._usual: dict[Hashable, list[float]] = {}  # seconds and number of requests, by key
        self._ratios = 0.0
        self._count = 0
        self._peak = 0  # requests at a time in this window
        self._next = 0.0

    def allows(self, running: int) -> bool:
        """Whether one more request may be taken beside those that run or wait."""
        return running < self.limit

    def note(self, key: Hashable, seconds: float, running: int, now: float) -> None:
        """A request of `key` has ended after `seconds`, its waiting included."""
        self._ratios += self._ratio(key, max(seconds, 1e-6), running > self._first)
        self._count += 1
        self._peak = max(self._peak, running)
        if self._count >= SAMPLES and now >= self._next:
            self._change(self._ratios / self._count)
            self._ratios, self._count, self._peak = 0.0, 0, 0
            self._next = now + WINDOW

    def _ratio(self, key: Hashable, seconds: float, waits: bool) -> float:
        """The time of a request in relation to the usual one of its key, which it changes."""
        known = self._usual.get(key)
        if known is None:
            if len(self._usual) >= MOST_KEYS:
                self._usual.clear()
            self._usual[key] = [seconds, 1.0]
            return 1.0
        usual = known[0]
        if seconds < usual or not waits:
            known[1] = min(USUAL, known[1] + 1)
            known[0] += (seconds - usual) / known[1]
        if known[0] > MUCH_QUICKER * seconds:
            known[0] *= FOLLOW
        return seconds / usual

    def _change(self, ratio: float) -> None:
        gradient = max(LEAST_GRADIENT, min(1.0, TOLERANCE / ratio))
        if gradient == 1.0 and self._peak < self.limit / 2:
            return  # not what limits anything
        wanted = self.limit * gradient + math.sqrt(self.limit)
        changed = self.limit + (wanted - self.limit) * SMOOTHING
        self.limit = max(self._least, min(self._most, changed))
