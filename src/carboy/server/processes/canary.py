"""--canary: at a reload one worker has the new code for some time, before the others get it.

    WAITING    the first worker of the new generation loads the application
    WATCHING   it serves, and so do all old workers; their requests and errors are counted
    over       `verdict`: the others are replaced, or the first one is stopped; this also happens
               before the time is over, if the first one has clearly more errors

`judge` decides; the supervisor reports what happens and carries the verdict out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field

from carboy.server.dataclass import dataclass

# The chance that the code is as good as the old one, although it has that many errors, below which
# the new worker is stopped.
CHANCE = 0.05
# The same before the time is over. It is far smaller, because there are many looks, and a new
# worker may have errors only at first. Code that always fails is noticed within a few requests.
EARLY_CHANCE = 1e-5
LOOK = 0.5  # seconds between two looks before the time is over
# Errors and requests that are added to those of the old workers: without them, one error of the new
# worker would be the end of every reload of an application without errors.
PRIOR_ERRORS, PRIOR_REQUESTS = 0.5, 12.5


@dataclass(frozen=True, slots=True)
class Sample:
    """Requests of one or more workers: all, and those with a status of 500 or more; and crashes."""

    requests: int = 0
    errors: int = 0
    crashes: int = 0

    def __add__(self, other: Sample) -> Sample:
        return Sample(
            self.requests + other.requests,
            self.errors + other.errors,
            self.crashes + other.crashes,
        )

    def __str__(self) -> str:
        share = f" ({self.errors / self.requests:.1%})" if self.requests else ""
        crashes = f", {self.crashes} crashes" if self.crashes else ""
        return f"{self.errors} errors in {self.requests} requests{share}{crashes}"


def judge(canary: Sample, others: Sample, chance: float = CHANCE) -> bool:
    """Whether the new code may be used: its worker has not crashed, and not too many errors.

    A crash decides unless other workers have crashed as well, for example because of the same
    request.

    Errors are too many if their share is above that of the others and chance does not explain it: a
    binomial distribution with the rate of the others gives as many in less than `chance` of cases.
    """
    if canary.crashes > others.crashes:
        return False
    if not canary.errors:
        return True
    if others.requests and canary.errors * others.requests <= others.errors * canary.requests:
        return True
    rate = min(1.0, (others.errors + PRIOR_ERRORS) / (others.requests + PRIOR_REQUESTS))
    return at_least(canary.errors, canary.requests, rate) > chance


def at_least(count: int, trials: int, rate: float) -> float:
    """The probability of `count` or more successes in `trials` (a binomial distribution)."""
    if count <= 0 or rate >= 1.0:
        return 1.0
    if rate <= 0.0 or count > trials:
        return 0.0
    mean, spread = trials * rate, math.sqrt(trials * rate * (1 - rate))
    if count > mean + 10 * spread + 10:
        return 0.0
    if (
        trials > 10_000 and mean > 100
    ):  # the sum would be long, and the normal distribution is close
        return 0.5 * math.erfc((count - 0.5 - mean) / (spread * math.sqrt(2)))
    total = 0.0
    for each in range(count):
        total += math.exp(
            math.lgamma(trials + 1) - math.lgamma(each + 1) - math.lgamma(trials - each + 1)
            + each * math.log(rate) + (trials - each) * math.log1p(-rate)
        )  # fmt: skip
    return max(0.0, 1.0 - total)


NEVER = float("inf")
Counts = Mapping[int, tuple[int, int]]  # of each worker: requests and errors since its start


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of a canary: its worker, whether its code may be used, and figures for the log."""

    worker: int
    good: bool
    figures: str


@dataclass(slots=True)
class Canary:
    """The time of one canary. Times are monotonic seconds."""

    seconds: float
    worker: int = 0  # 0: the first worker of the new generation is not ready yet
    until: float = NEVER
    look_at: float = NEVER  # when to look before the time is over
    _before: dict[int, tuple[int, int]] = field(default_factory=dict)  # of old workers
    _gone: Sample = field(default_factory=Sample)  # of other workers that have ended
    _crashed: Sample | None = None  # the canary, when it has ended by itself

    def ready(self, worker: int, others: Counts, now: float) -> None:
        """Begin to watch the first worker with the new code."""
        if not self.worker:
            self.worker = worker
            self.until = now + self.seconds
            self.look_at = now + LOOK
            self._before = dict(others)

    def ended(self, worker: int, counts: tuple[int, int], crashed: bool, now: float) -> None:
        """Note that a worker has ended; with `crashed` without being asked to."""
        if not self.worker:
            return
        sample = self._since(worker, counts, int(crashed))
        if worker == self.worker:
            self._crashed = sample
            self.until = now
        elif worker in self._before:
            self._gone += sample

    def verdict(self, counts: Counts, now: float) -> Verdict | None:
        """The verdict: when the time is over, the new worker has crashed, or it clearly fails."""
        over = now >= self.until
        if not over and now < self.look_at:
            return None
        self.look_at = now + LOOK
        ours = self._crashed or self._since(self.worker, counts.get(self.worker, (0, 0)))
        others = self._gone
        for worker, seen in counts.items():
            if worker in self._before:
                others += self._since(worker, seen)
        good = judge(ours, others, CHANCE if over else EARLY_CHANCE)
        if good and not over:
            return None
        return Verdict(self.worker, good, f"{ours}. The others: {others}")

    def wake_at(self) -> float:
        """When a verdict may be due."""
        return min(self.until, self.look_at)

    def _since(self, worker: int, counts: tuple[int, int], crashes: int = 0) -> Sample:
        before = self._before.get(worker, (0, 0))
        return Sample(counts[0] - before[0], counts[1] - before[1], crashes)
