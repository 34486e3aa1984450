"""Decisions about which worker processes there should be; no process, clock or signal.

             ready                told to stop
    STARTING ─────▶ SERVING ──────────────────▶ STOPPING ──▶ gone
        └──────────────────────────────────────────▲

The supervisor reports what happened, asks `plan(now)` and does what it says. `replace` begins a
new generation. With `overlap` an old worker serves until a new one is ready; without, old workers
are told to stop at once, and clients wait for the new ones.
"""

from __future__ import annotations

from dataclasses import field
from enum import Enum

from carboy.server.dataclass import dataclass

# Seconds before the next try after a worker that never became ready, doubled each time …
FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0  # … up to this
# While no worker serves, the next one is started at once after the first failure and this many
# seconds after each other one: clients wait, but loading should not take the whole processor.
DELAY_WITHOUT_SERVICE = 1.0
# If no worker has become ready and this many have died, more attempts would only fill the log.
MOST_FAILED_STARTS = 3
# Seconds beyond the graceful timeout, before a worker that does not end is killed. At the
# timeout the worker itself closes and logs what still runs, and needs a moment for that.
KILL_DELAY = 5.0
STACKS_DELAY = 0.5  # seconds that a stuck worker gets to write its stacks


class State(Enum):
    STARTING = "loads the application"
    SERVING = "takes connections"
    STOPPING = "finishes what it has"


class Do(Enum):
    START = "start a worker"
    STOP = "tell it to stop"
    KILL = "end it at once"
    DROP = "end it at once, without a word"
    GIVE_UP = "it takes too long to load the application"


Action = tuple[Do, int]  # and the number of the worker (0 for START)


@dataclass(slots=True)
class Member:
    """One worker process as its supervisor sees it. `number` is the start method's name for it."""

    number: int
    born: float
    generation: int
    state: State = State.STARTING
    kill_at: float | None = None
    given_up: bool = False  # the worker took too long to start, or is stuck
    worn: bool = False  # it serves until another worker can take its place
    left: bool = False  # it stops, and new connections are for other workers


@dataclass(slots=True)
class Generations:
    """The workers that exist, and how many there should be. Times are monotonic seconds."""

    target: int
    graceful_timeout: float
    overlap: bool = True  # an old worker serves until a new one can take its place
    start_timeout: float = 0.0  # 0: a worker may take any time to become ready
    generation: int = 0
    stopping: bool = False
    ever_ready: bool = False
    replacing: bool = False
    one_first: bool = False  # a replacement does not go beyond one new worker (--canary)
    can_start: bool = True  # False: the application is being loaded in a template (--preload)
    failed_reloads: int = 0  # replacements that were given up
    failed_starts: int = 0  # since a worker became ready
    failed_at: float = 0.0
    members: dict[int, Member] = field(default_factory=dict)

    def started(self, number: int, now: float) -> None:
        self.members[number] = Member(number, now, self.generation)

    def ready(self, number: int) -> None:
        member = self.members.get(number)
        if member is not None and member.state is State.STARTING and not member.given_up:
            member.state = State.SERVING
            self.ever_ready = True
            self.failed_starts = 0

    def leaves(self, number: int, now: float) -> bool:
        """Note that a worker stops. Returns True if the supervisor has not asked for it."""
        member = self.members.get(number)
        if member is None or member.state is not State.SERVING:
            return False
        self._stop(member, now)
        return True

    def left(self, number: int) -> None:
        """Note that a worker takes no more connections."""
        if number in self.members:
            self.members[number].left = True

    def old_accept(self) -> bool:
        """Whether a worker of an earlier generation may still take a connection."""
        return any(m.generation != self.generation and not m.left for m in self.members.values())

    def retire(self, number: int, now: float) -> Action:
        """Have another worker take the place of this one, which may finish its requests."""
        return self._stop(self.members[number], now)

    def wear(self, number: int) -> None:
        """Have another worker started that takes the place of this one when it is ready."""
        self.members[number].worn = True

    def settled(self) -> bool:
        """Whether as many workers serve as there should be, and none starts, stops or is worn."""
        if self.stopping or self.replacing or len(self.members) < self.target:
            return False
        return all(m.state is State.SERVING and not m.worn for m in self.members.values())

    def kill_soon(self, number: int, now: float) -> None:
        """Give a stuck worker a moment to write its stacks; after that, it is killed."""
        member = self.members[number]
        member.state = State.STOPPING
        member.given_up = True
        member.kill_at = now + STACKS_DELAY

    def died(self, number: int, now: float) -> Member:
        """Note that a worker has ended. If it never became ready, the next start is delayed."""
        member = self.members.pop(number)
        if member.state is State.STARTING:
            self.not_started(now)
        return member

    def not_started(self, now: float) -> None:
        """Note that no worker could be started; this counts as one that never became ready."""
        self.failed_starts += 1
        self.failed_at = now

    def delay(self) -> float:
        """Seconds from the last failure to the next start."""
        if not self.failed_starts:
            return 0.0
        if not any(m.state is State.SERVING for m in self.members.values()):
            return 0.0 if self.failed_starts == 1 else DELAY_WITHOUT_SERVICE
        return float(min(FIRST_DELAY * 2 ** min(self.failed_starts - 1, 10), LONGEST_DELAY))

    def start_failed(self) -> bool:
        """Whether no worker ever became ready, and enough have been started."""
        return not self.ever_ready and self.failed_starts >= MOST_FAILED_STARTS

    def replace(self) -> None:
        """Make all workers old, including those that are still loading the code."""
        self.generation += 1
        self.replacing = True
        self.failed_starts = 0

    def replaced(self) -> bool:
        """Whether a replacement has just ended, so that all workers are new. Returns True once.

        An old worker that was told to stop may take connections for a moment, until it has left.
        """
        if not self.replacing or self.old_accept():
            return False
        if sum(m.state is State.SERVING for m in self._live()) < self.target:
            return False
        self.replacing = False
        return True

    def keep(self) -> bool:
        """Give up a replacement: the existing workers stay. Returns False if there was none."""
        replacing, self.replacing = self.replacing, False
        self.failed_reloads += replacing
        self.one_first = False
        for member in self.members.values():
            member.generation = self.generation
        return replacing

    def plan(self, now: float) -> list[Action]:
        """The actions that are due now. They are taken as done."""
        actions = self._overdue(now)
        if self.stopping:
            return actions + [self._stop(m, now) for m in self._live()]
        actions += self._outdated() + self._slow_starts(now)
        if not self.overlap:
            actions += [self._stop(m, now) for m in self._old() if m.state is State.SERVING]
        surplus = self._surplus(now)  # first, because an old worker that stops is not replaced
        return actions + self._missing(now) + surplus

    def wake_at(self) -> float | None:
        """When to ask again even if nothing has happened; None: never."""
        times = [m.kill_at for m in self.members.values() if m.kill_at is not None]
        if not self.stopping:
            if self.start_timeout:
                times += (m.born + self.start_timeout for m in self._starting() if not m.given_up)
            if self._lacking():
                times.append(self.failed_at + self.delay())
        return min(times, default=None)

    def _starting(self) -> list[Member]:
        return [m for m in self.members.values() if m.state is State.STARTING]

    def _live(self) -> list[Member]:
        return [m for m in self.members.values() if m.state is not State.STOPPING]

    def _old(self) -> list[Member]:
        return [m for m in self._live() if m.generation != self.generation]

    def _may_replace(self, member: Member) -> bool:
        """Whether an old worker is to be replaced now."""
        if member.generation == self.generation:
            return False
        return not (self.one_first and any(m.generation == self.generation for m in self._live()))

    def _outdated(self) -> list[Action]:
        late = [m for m in self._starting() if m.generation != self.generation]
        for member in late:
            member.state = State.STOPPING
            member.kill_at = None
        return [(Do.DROP, member.number) for member in late]

    def _slow_starts(self, now: float) -> list[Action]:
        if not self.start_timeout:
            return []
        late = [
            m for m in self._starting() if not m.given_up and now >= m.born + self.start_timeout
        ]
        for member in late:
            member.given_up = True
            member.kill_at = now + STACKS_DELAY
        return [(Do.GIVE_UP, member.number) for member in late]

    def _missing(self, now: float) -> list[Action]:
        if now < self.failed_at + self.delay():
            return []
        return [(Do.START, 0)] * self._lacking()

    def _lacking(self) -> int:
        """How many workers are to be started, at once or after a delay."""
        if not self.can_start:
            return 0
        lacking = self.target - len(self._live())
        if lacking <= 0 and not self._starting():
            outgoing = any(m.worn or self._may_replace(m) for m in self._live())
            return 1 if outgoing else 0  # one more than `target`, until it can take that place
        return max(0, lacking)

    def _surplus(self, now: float) -> list[Action]:
        serving = [m for m in self._live() if m.state is State.SERVING]
        count = len(serving) - self.target - self.one_first
        if count <= 0:
            return []
        old_first = sorted(serving, key=lambda m: (not m.worn, m.generation, -m.born))
        return [self._stop(m, now) for m in old_first[:count]]

    def _stop(self, member: Member, now: float) -> Action:
        member.state = State.STOPPING
        member.kill_at = now + self.graceful_timeout + KILL_DELAY
        return (Do.STOP, member.number)

    def _overdue(self, now: float) -> list[Action]:
        late = [m for m in self.members.values() if m.kill_at is not None and now >= m.kill_at]
        for member in late:
            member.kill_at = None
        return [(Do.DROP if m.given_up else Do.KILL, m.number) for m in late]
