"""How long the handlers of each dispatch key take: which keys may run on the leader's thread.

Two things are learned. The time of a key shows whether the key is quick. For a key that is not
quick, the processor time of some of its requests shows whether it computes or waits:

    it computes   more threads would only compete for the interpreter
    it waits      more threads let more of its requests wait at once
    neither       others have delayed it: it runs on the leader as if it were quick

A handler that was kept from computing, by other threads of the process or by other processes, has
not waited: its thread did not go to sleep by itself, or the process computed all the time.

Only the leader uses `DispatchTimes`, or the thread that replaces it (server/crew.py). The functions
at the end of the file read the clocks of a thread, on that thread unless they say otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Hashable

try:
    import resource

    _THREAD: int | None = getattr(resource, "RUSAGE_THREAD", None)
except ImportError:  # not on Windows
    _THREAD = None


WEIGHT = 0.125  # of one new time in the average
CAP = 8.0  # in budgets: the most one time counts, so that some quick ones make up for it
# Seconds between two trials of a slow key on the leader's thread, doubled while it stays slow,
FIRST_PAUSE, LAST_PAUSE = 0.02, 2.0
# and between trials of any two keys: each may hold the leader until the watcher deposes it.
BETWEEN_TRIALS = 0.05
# A key is brief while its requests hold a thread for at most BRIEF seconds, give or take CREDIT.
CREDIT, BRIEF = 3, 0.25
# Seconds between two trials of a key while the leader of an earlier one is still inside it.
STUCK_PAUSE = 0.25
MOSTLY = 0.8  # share of the time: the handler computed nearly all of it
# One in SAMPLE requests of a key that is known to wait is measured. After UNCLEAR inconclusive
# measurements, and then after RARER times as many, what was learned about the key is dropped.
SAMPLE, UNCLEAR, RARER = 16, 32, 4
STALLED = 0.4  # share of the time: a handler that is stuck has computed for less than this
# Whether the system counts how often threads go to sleep by themselves.
COUNTS_SLEEPS = _THREAD is not None and resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw > 0


class Work:
    """The known processor time of a key that is not quick."""

    __slots__ = ("cpu", "patience", "skipped", "unclear", "waits")

    def __init__(self, cpu: float) -> None:
        self.cpu = cpu  # seconds, a moving average
        self.waits: float | None = None  # 0: it computes, 1: it waits; None: not known yet
        self.unclear = 0  # consecutive inconclusive measurements
        self.patience = UNCLEAR
        self.skipped = 0  # requests since the last that was measured


class DispatchTimes:
    """A moving average of seconds for each key, in a table of bounded size.

    An unknown key is expected to be quick. If it is not, the watcher (server/crew.py) deposes the
    leader, and the key is slow after this one request.

    A time taken on another thread counts only when it is better than what is known: it includes
    waits for the interpreter's lock, and with many requests at once these alone look slow.
    Quick handlers that once ran on other threads would stay there indefinitely. So a slow key
    gets a trial on the leader's thread from time to time, which measures its own time.
    """

    __slots__ = (
        "_budget",
        "_credit",
        "_light",
        "_size",
        "_trials",
        "_work",
        "averages",
        "next_trial",
        "worth",
    )

    def __init__(self, budget: float, size: int) -> None:
        # 0.0: quick, and not worth a closer look.
        self.averages: dict[Hashable, float] = {}
        self._budget = budget
        self._size = size
        # Below this a time says nothing about a key that was quick anyway; the leader then
        # need not call `note` at all.
        self.worth = budget / 16
        self._light: dict[Hashable, None] = {}  # keys whose average is 0.0, the oldest first
        self._trials: dict[Hashable, tuple[float, float]] = {}  # when the next is due, the pause
        self.next_trial = 0.0  # monotonic seconds: of any key
        self._credit: dict[Hashable, int] = {}  # of slow keys; 0: not brief
        self._work: dict[Hashable, Work] = {}

    # --- is it quick?

    def is_quick(self, key: Hashable) -> bool:
        """Whether the handler of `key` keeps within the budget on average."""
        return self.averages.get(key, 0.0) <= self._budget

    def is_brief(self, key: Hashable) -> bool:
        """Whether a slow key holds a thread for a moment only, or was quick until just now."""
        return self._credit.get(key, 0) > 0

    def on_trial(self, key: Hashable, now: float, stuck: bool = False) -> bool:
        """Whether this request of a slow key is to run on the leader's thread as a trial.

        `stuck`: the handler of an earlier trial has not returned.
        """
        due, pause = self._trials.get(key, (0.0, FIRST_PAUSE))
        if stuck:
            pause = max(pause, STUCK_PAUSE)
        if now < due or now < self.next_trial:
            return False
        self.next_trial = now + BETWEEN_TRIALS
        self._trials[key] = (now + pause, min(2 * pause, LAST_PAUSE))
        return True

    def note(self, key: Hashable, seconds: float, stuck: bool = False) -> None:
        """Note a time taken on the leader's thread; `stuck`: the handler still runs."""
        average = self.averages.get(key)
        seconds = min(seconds, CAP * self._budget)
        if average is None:
            self._make_room()
            if seconds > self.worth:
                self.averages[key] = seconds
                if not stuck:
                    self._credit[key] = 1
            else:
                self.averages[key] = 0.0
                self._light[key] = None
        elif average > self._budget >= seconds:
            # A trial went well: the time known before was that of the first request, which imports
            # and connects, or of a time with more load.
            self.averages[key] = seconds
            self._trials.pop(key, None)
        else:
            self._set(key, average, average + WEIGHT * (seconds - average))

    def make_slow(self, key: Hashable) -> None:
        """Treat `key` as slow at once: no thread is left for another mistake."""
        average = self.averages.get(key)
        if average is None:
            self.note(key, CAP * self._budget, stuck=True)
        else:
            self._set(key, average, CAP * self._budget)
        if (work := self._work.get(key)) is not None:
            work.waits = 1.0

    def forgive(self, key: Hashable) -> None:
        """Undo `make_slow`: the machine or the interpreter was busy for a moment."""
        if key in self.averages:
            self.averages[key] = self._budget

    def note_away(self, key: Hashable, seconds: float) -> None:
        """Note a time taken on another thread."""
        average = self.averages.get(key)
        if average is not None and seconds < average:
            self.averages[key] = average + WEIGHT * (seconds - average)
        if average is not None:
            credit = self._credit.get(key, 0)
            self._credit[key] = min(CREDIT, credit + 1) if seconds <= BRIEF else max(0, credit - 1)

    def _set(self, key: Hashable, before: float, after: float) -> None:
        if after <= self.worth:
            after = 0.0  # the leader no longer has to call `note` for it
            self._light[key] = None
        elif not before:
            self._light.pop(key, None)
        if before <= self._budget < after:
            self._credit[key] = CREDIT
        self.averages[key] = after

    def _make_room(self) -> None:
        if len(self.averages) < self._size:
            return
        # The oldest key goes: dictionaries keep their order. Clients choose paths, so keys that
        # are only quick never take more than half the room from those that are slow.
        crowd = self._light if len(self._light) > self._size // 2 else self.averages
        oldest = next(iter(crowd))
        self._light.pop(oldest, None)
        for table in (self.averages, self._trials, self._credit, self._work):
            table.pop(oldest, None)

    # --- does it compute?

    def computes(self, key: Hashable) -> float:
        """Seconds of processor time that a request of `key` takes; 0.0 if it mostly waits."""
        work = self._work.get(key)
        if work is None or (work.waits or 0.0) >= 0.5 or work.cpu <= self._budget:
            return 0.0
        return work.cpu

    def is_only_delayed(self, key: Hashable) -> bool:
        """Whether a slow key computes within the budget and waits for nothing.

        Other threads and processes have made it slow. On threads of the crew, its requests would
        only take the interpreter from each other.
        """
        work = self._work.get(key)
        return (
            work is not None
            and work.waits is not None
            and work.waits < 0.5
            and work.cpu <= self._budget
        )

    def wants_usage(self, key: Hashable) -> bool:
        """Whether the next request of this slow key should be measured."""
        work = self._work.get(key)
        if work is None or (work.waits or 0.0) < 0.5:
            return True
        work.skipped += 1
        return work.skipped >= SAMPLE

    def note_usage(self, key: Hashable, seconds: float, used: Usage) -> None:
        """Note the processor time that a request has used in its `seconds`."""
        cpu, process, sleeps = used
        work = self._work.get(key)
        first = False
        if work is None:
            if key not in self.averages:
                return
            work = self._work[key] = Work(cpu)
            first = True
        work.skipped = 0
        work.cpu += WEIGHT * (cpu - work.cpu)
        if cpu >= MOSTLY * seconds or (sleeps == 0 and (COUNTS_SLEEPS or cpu > self._budget)):
            sign = 0.0
        elif process >= MOSTLY * seconds:
            self._unclear(work)
            return
        elif first and cpu > self._budget:
            return  # the first request imports and connects
        else:
            sign = 1.0
        work.unclear = 0
        work.waits = sign if work.waits is None else work.waits + WEIGHT * (sign - work.waits)

    def _unclear(self, work: Work) -> None:
        work.unclear += 1
        if work.waits is not None and work.waits >= 0.5 and work.unclear >= work.patience:
            # With this many requests at once every handler seems to wait, whatever it does.
            work.waits = None
            work.unclear = 0
            work.patience *= RARER

    def note_stuck(self, key: Hashable, seconds: float, cpu: float, process: float) -> None:
        """Note the processor time of a request that has held the leader for `seconds` already."""
        work = self._work.get(key)
        if work is not None and max(cpu, process / 2) < STALLED * seconds:
            work.waits = 1.0 if work.waits is None else work.waits + WEIGHT * (1.0 - work.waits)


# Seconds of processor time of this thread and of all threads of the process, and how often this
# thread has gone to sleep by itself (None where the system does not say).
Usage = tuple[float, float, "int | None"]


def usage() -> Usage:
    """The figures of the calling thread; the difference between two is what a handler has used."""
    sleeps = None if _THREAD is None else resource.getrusage(_THREAD).ru_nvcsw
    return time.thread_time(), time.process_time(), sleeps


def used_by(thread: int, before: Usage) -> tuple[float, float] | None:
    """Seconds that another thread and the process have used since that thread took `before`."""
    try:
        clock = time.pthread_getcpuclockid(thread)
        return time.clock_gettime(clock) - before[0], time.process_time() - before[1]
    except (AttributeError, OSError):
        return None


def since(before: Usage) -> Usage:
    """Figures of the calling thread since it took `before`."""
    own, all_threads, sleeps = usage()
    if sleeps is not None and before[2] is not None:
        sleeps -= before[2]
    return own - before[0], all_threads - before[1], sleeps
