"""How long at least one of several things was happening, when they overlap."""

from __future__ import annotations

MOST = 1000  # periods between which something longer may still have happened


class BusyTime:
    """The length of the union of periods. Each period is added when it ends."""

    def __init__(self) -> None:
        self._periods: list[tuple[float, float]] = []
        self._before = 0.0  # the length of periods that are no longer in the list

    def add(self, began: float, ended: float) -> None:
        """Add a period. Others that were added have ended before it ends, or just after."""
        while self._periods and self._periods[-1][1] >= began:
            first, last = self._periods.pop()
            began, ended = min(began, first), max(ended, last)
        self._periods.append((began, ended))
        if len(self._periods) > MOST:
            first, last = self._periods.pop(0)
            self._before += last - first

    @property
    def total(self) -> float:
        """The length of all periods; time in which several overlap counts once."""
        return self._before + sum(ended - began for began, ended in self._periods)
