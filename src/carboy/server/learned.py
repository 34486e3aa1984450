"""How long handlers take, by dispatch key: what may run on the leader's thread."""

from __future__ import annotations

from collections.abc import Hashable

WEIGHT = 0.125  # of one new time in the average
CAP = 8.0  # in budgets: the most one time counts, so that a key is forgiven after some quick ones


class Learned:
    """A moving average of seconds for each key, in a table of bounded size.

    Only the leader calls `note`. A key nobody has seen is taken for quick: the watch
    (server/crew.py) catches the mistake, and that one request corrects it.
    """

    __slots__ = ("_budget", "_size", "averages", "worth")

    def __init__(self, budget: float, size: int) -> None:
        self.averages: dict[Hashable, float] = {}
        self._budget = budget
        self._size = size
        # Below this a time says nothing about a key that was quick anyway; the leader then
        # need not call `note` at all.
        self.worth = budget / 16

    def is_quick(self, key: Hashable) -> bool:
        """Whether the handler of `key` keeps within the budget on average."""
        return self.averages.get(key, 0.0) <= self._budget

    def note(self, key: Hashable, seconds: float) -> None:
        """Remember one time."""
        average = self.averages.get(key)
        seconds = min(seconds, CAP * self._budget)
        if average is not None:
            self.averages[key] = average + WEIGHT * (seconds - average)
        elif seconds > self.worth:
            if len(self.averages) >= self._size:
                # The one that came first goes: dictionaries keep their order.
                del self.averages[next(iter(self.averages))]
            self.averages[key] = seconds
