"""Counts the outcomes of requests. Each request has exactly one outcome."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

SLACK = 0.25
"""Most seconds between the end of a process and the time at which it is noticed."""


class Outcome(Enum):
    RIGHT = "the expected status and body"
    REFUSED = "a complete 503, or no connection, so that the client knows that nothing was done"
    LOST = "closed, reset, too late or wrong"


@dataclass(frozen=True)
class Loss:
    """A lost request: when it was sent, when it was known to be lost, and how it was lost."""

    sent: float
    known: float
    how: str
    cut: bool  # the connection ended; otherwise the response was wrong or late

    def ran_in(self, deaths: Sequence[float]) -> bool:
        """Whether the request may have run in a process that was killed."""
        return self.cut and any(self.sent - SLACK <= at <= self.known + SLACK for at in deaths)


@dataclass
class Ledger:
    """The outcomes of the requests of all clients in one run."""

    sent: int = 0
    right: int = 0
    slowest: float = 0.0  # most seconds that a right response took
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
        """Requests without an outcome yet; 0 after all clients have stopped."""
        return self.sent - self.right - self.refused - self.lost

    def unexcused(self, deaths: Sequence[float]) -> list[Loss]:
        """The losses that are not explained by a killed process."""
        return [loss for loss in self.losses if not loss.ran_in(deaths)]


def ways(losses: Sequence[Loss]) -> str:
    """Text with the most frequent ways in which requests were lost."""
    return "; ".join(f"{many} {how}" for how, many in Counter(x.how for x in losses).most_common(3))
