"""How long handlers take, by dispatch key: what may run on the leader's thread."""

from __future__ import annotations

from collections.abc import Hashable

WEIGHT = 0.125  # of one new time in the average
CAP = 8.0  # in budgets: the most one time counts, so that a key is forgiven after some quick ones
# Seconds between two trials of a slow key on the leader's thread: doubled while it stays slow.
FIRST_PAUSE, LAST_PAUSE = 0.02, 2.0
# And between trials of any two keys: each may hold the leader until the watcher deposes it.
BETWEEN_TRIALS = 0.05


class Learned:
    """A moving average of seconds for each key, in a table of bounded size.

    Only the leader calls it. A key nobody has seen is taken for quick: the watch
    (server/crew.py) catches the mistake, and that one request corrects it.

    A time taken on another thread counts only when it is better than what is known: it holds
    the waits for the interpreter's lock, and with many requests at once these alone look slow.
    Quick handlers that were once sent away would stay away for ever. So a slow key gets a
    trial on the leader's thread now and then, which tells its own time.
    """

    __slots__ = ("_budget", "_size", "_trials", "averages", "next_trial", "worth")

    def __init__(self, budget: float, size: int) -> None:
        self.averages: dict[Hashable, float] = {}
        self._budget = budget
        self._size = size
        # Below this a time says nothing about a key that was quick anyway; the leader then
        # need not call `note` at all.
        self.worth = budget / 16
        self._trials: dict[Hashable, tuple[float, float]] = {}  # when the next is due, the pause
        self.next_trial = 0.0  # monotonic seconds: of any key

    def is_quick(self, key: Hashable) -> bool:
        """Whether the handler of `key` keeps within the budget on average."""
        return self.averages.get(key, 0.0) <= self._budget

    def on_trial(self, key: Hashable, now: float) -> bool:
        """Whether this request of a slow key is to run on the leader's thread all the same."""
        due, pause = self._trials.get(key, (0.0, FIRST_PAUSE))
        if now < due or now < self.next_trial:
            return False
        self.next_trial = now + BETWEEN_TRIALS
        self._trials[key] = (now + pause, min(2 * pause, LAST_PAUSE))
        return True

    def note(self, key: Hashable, seconds: float) -> None:
        """Remember a time taken on the leader's thread."""
        average = self.averages.get(key)
        seconds = min(seconds, CAP * self._budget)
        if average is None:
            if seconds > self.worth:
                self._make_room()
                self.averages[key] = seconds
        elif average > self._budget >= seconds:
            # A trial went well: what was learned before was the first request's, which imports
            # and connects, or of a worse hour.
            self.averages[key] = seconds
            self._trials.pop(key, None)
        else:
            self.averages[key] = average + WEIGHT * (seconds - average)

    def note_away(self, key: Hashable, seconds: float) -> None:
        """Remember a time taken on another thread."""
        average = self.averages.get(key)
        if average is not None and seconds < average:
            self.averages[key] = average + WEIGHT * (seconds - average)

    def _make_room(self) -> None:
        if len(self.averages) >= self._size:
            # The one that came first goes: dictionaries keep their order.
            oldest = next(iter(self.averages))
            del self.averages[oldest]
            self._trials.pop(oldest, None)
