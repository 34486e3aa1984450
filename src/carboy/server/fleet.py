"""Which worker processes there should be: decisions only, no process, clock or signal.

             ready                told to stop
    STARTING ─────▶ SERVING ──────────────────▶ STOPPING ──▶ gone
        └──────────────────────────────────────────▲

The supervisor reports what happened, asks `plan(now)` and does what it says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

# A worker that dies younger than this (seconds) has a reason that the next one will meet too.
YOUNG = 5.0
FIRST_DELAY = 0.5  # seconds before the next try, doubled each time …
LONGEST_DELAY = 30.0  # … up to this
# If not a single worker got ready and this many died trying, trying on only fills the log.
HOPELESS = 3
# Beyond the graceful time-out, before a worker that does not end is killed: it closes and logs
# what is still running at the time-out itself, and needs a moment for that.
MERCY = 5.0


class State(Enum):
    STARTING = "loads the application"
    SERVING = "takes connections"
    STOPPING = "finishes what it has"


class Do(Enum):
    START = "start a worker"
    STOP = "tell it to stop"
    KILL = "end it at once"


Action = tuple[Do, int]  # what, to whom (0 for START)


@dataclass(slots=True)
class Member:
    """One worker process as its supervisor sees it."""

    pid: int
    born: float
    generation: int
    state: State = State.STARTING
    kill_at: float | None = None


@dataclass(slots=True)
class Fleet:
    """The workers that are there and the number that should be (times in seconds)."""

    target: int
    graceful_timeout: float
    generation: int = 0
    stopping: bool = False
    ever_ready: bool = False
    young_deaths: int = 0
    not_before: float = 0.0
    members: dict[int, Member] = field(default_factory=dict)

    def started(self, pid: int, now: float) -> None:
        self.members[pid] = Member(pid, now, self.generation)

    def ready(self, pid: int) -> None:
        member = self.members.get(pid)
        if member is not None and member.state is State.STARTING:
            member.state = State.SERVING
            self.ever_ready = True

    def died(self, pid: int, now: float) -> Member:
        """Forget a worker; one that died at once makes the next wait, each time longer."""
        member = self.members.pop(pid)
        if member.state is State.STOPPING:
            return member
        if member.state is State.SERVING and now - member.born >= YOUNG:
            self.young_deaths = 0
            return member
        self.young_deaths += 1
        delay = FIRST_DELAY * 2 ** min(self.young_deaths - 1, 10)
        self.not_before = now + min(delay, LONGEST_DELAY)
        return member

    def hopeless(self) -> bool:
        """Whether no worker has ever got ready and enough have tried."""
        return not self.ever_ready and self.young_deaths >= HOPELESS

    def replace(self) -> None:
        """Make every worker that is there now an old one."""
        self.generation += 1
        self.young_deaths = 0
        self.not_before = 0.0

    def keep(self) -> bool:
        """Give a replacement up: those that are there stay. False if none was going on."""
        replacing = bool(self._old())
        for member in self.members.values():
            member.generation = self.generation
        return replacing

    def plan(self, now: float) -> list[Action]:
        """What to do now; everything said here is taken as done."""
        actions = self._overdue(now)
        if self.stopping:
            return actions + [self._stop(m, now) for m in self._live()]
        return actions + self._missing(now) + self._surplus(now)

    def wake_at(self) -> float | None:
        """When to ask again although nothing happened; None: no need."""
        times = [m.kill_at for m in self.members.values() if m.kill_at is not None]
        if not self.stopping and (len(self._live()) < self.target or self._old()):
            times.append(self.not_before)
        return min(times, default=None)

    def _live(self) -> list[Member]:
        return [m for m in self.members.values() if m.state is not State.STOPPING]

    def _old(self) -> list[Member]:
        return [m for m in self._live() if m.generation != self.generation]

    def _missing(self, now: float) -> list[Action]:
        if now < self.not_before:
            return []
        live = self._live()
        missing = self.target - len(live)
        if missing <= 0 and self._old() and not any(m.state is State.STARTING for m in live):
            missing = 1  # one more than wanted, until it can take an old one's place
        return [(Do.START, 0)] * missing

    def _surplus(self, now: float) -> list[Action]:
        serving = [m for m in self._live() if m.state is State.SERVING]
        count = len(serving) - self.target
        if count <= 0:
            return []
        old_first = sorted(serving, key=lambda m: (m.generation, -m.born))
        return [self._stop(m, now) for m in old_first[:count]]

    def _stop(self, member: Member, now: float) -> Action:
        member.state = State.STOPPING
        member.kill_at = now + self.graceful_timeout + MERCY
        return (Do.STOP, member.pid)

    def _overdue(self, now: float) -> list[Action]:
        late = [m for m in self.members.values() if m.kill_at is not None and now >= m.kill_at]
        for member in late:
            member.kill_at = None
        return [(Do.KILL, member.pid) for member in late]
