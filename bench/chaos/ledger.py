"""What became of each request, counted; nothing is counted twice and nothing is left out."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

SLACK = 0.25
"""Seconds between the end of a process and the moment at which it is noticed, either way."""


class Outcome(Enum):
    RIGHT = "status and body are those that were expected"
    REFUSED = "a complete 503, or no connection: the client knows that nothing was done"
    LOST = "cut, reset, too late or wrong"


@dataclass(frozen=True)
class Loss:
    """One request that was lost: when it was sent, when that was known, and how."""

    sent: float
    known: float
    how: str
    cut: bool  # the connection ended; otherwise the answer was wrong or did not come in time

    def ran_in(self, deaths: Sequence[float]) -> bool:
        """Whether a process that was killed meanwhile took this request with it."""
        return self.cut and any(self.sent - SLACK <= at <= self.known + SLACK for at in deaths)


@dataclass
class Ledger:
    """The requests of all clients of one run."""

    sent: int = 0
    right: int = 0
    slowest: float = 0.0  # seconds that a right answer took at most
    refused: int = 0
    losses: list[Loss] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def asked(self) -> None:
        with self._lock:
            self.sent += 1

    def was_right(self, seconds: float) -> None:
        with self._lock:
            self.right += 1
            self.slowest = max(self.slowest, seconds)

    def was_refused(self) -> None:
        with self._lock:
            self.refused += 1

    def was_lost(self, loss: Loss) -> None:
        with self._lock:
            self.losses.append(loss)

    @property
    def lost(self) -> int:
        return len(self.losses)

    @property
    def open(self) -> int:
        """Requests whose outcome is not known; 0 when all clients have stopped."""
        return self.sent - self.right - self.refused - self.lost

    def unexcused(self, deaths: Sequence[float]) -> list[Loss]:
        """The losses that no killed process explains."""
        return [loss for loss in self.losses if not loss.ran_in(deaths)]


def ways(losses: Sequence[Loss]) -> str:
    """The most frequent ways in which requests were lost, for people."""
    return "; ".join(f"{many} {how}" for how, many in Counter(x.how for x in losses).most_common(3))
