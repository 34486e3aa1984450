"""Requests that wait for a thread, and which of them gets the next one.

Decides only: it knows no clock, no socket and no thread. Only the leader calls it.

A request waits in a lane, in order of arrival. What a lane waits for:

    WAITS      one of `threads`
    COMPUTES   one of `threads`, and that few others compute: more would only take the interpreter
               from each other
    PROMPT     one of `threads` or, when none of these gets free for a while, of the reserve: its
               key holds a thread for a moment only
    HERE       the leader, which runs one between two turns: its key computes, and not for long
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Hashable, Iterator
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carboy.server.exchange import ServerExchange

# Seconds after which a computing handler lets another one begin beside it: it may wait for
# something by now, and one that computes for minutes must not keep shorter ones from beginning.
HOLD = 0.1
# Seconds in which none of `threads` gets free before the reserve is used: while they come and go,
# nobody waits for long, and `threads` is what the operator wants to run at once.
HELD = 0.05


class Lane(Enum):
    """What a request waits for."""

    WAITS = "a thread"
    COMPUTES = "a thread, and few others that compute"
    PROMPT = "a thread, or one of the reserve"
    HERE = "the leader"


WAITS, COMPUTES, PROMPT, HERE = Lane


# Exchanges of one key that may have a thread of the reserve, and with leaders that are stuck in it.
OF_ONE_KEY, STUCK_IN_ONE_KEY = 2, 4


def reserve_of(threads: int) -> int:
    """Threads above `threads`: for keys that are brief or that nobody knows yet."""
    return max(4, threads // 4)


class Queue:
    """The lanes, and the accounts of the threads that run what was in them.

    `away` is told: exchanges that other threads than the leader's run.
    """

    def __init__(self, threads: int, processors: int) -> None:
        self.threads = threads
        self.most = threads + reserve_of(threads)
        self._at_once = max(1, processors)
        self.here: deque[ServerExchange] = deque()
        self._waits: deque[ServerExchange] = deque()
        self.computes: deque[ServerExchange] = deque()
        self.prompt: deque[ServerExchange] = deque()
        self.moved = 0.0  # when a thread last got free
        self._lanes = {
            WAITS: self._waits,
            COMPUTES: self.computes,
            PROMPT: self.prompt,
            HERE: self.here,
        }
        self.count = 0  # of everything that waits
        self.relieved = 0.0  # when the crew was last asked for threads to be counted apart
        self._computing = 0  # exchanges of the lane COMPUTES that have a thread
        self._began = 0.0  # when the last of them got it
        # Exchanges that run above `threads`, by key: at most OF_ONE_KEY each.
        self.in_reserve: Counter[Hashable] = Counter()

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[ServerExchange]:
        """Everything that waits, lane by lane."""
        for lane in self._lanes.values():
            yield from list(lane)

    def put(self, exchange: ServerExchange, lane: Lane) -> None:
        """Have `exchange` wait; its `asked` is set."""
        exchange.lane = lane
        self._lanes[lane].append(exchange)
        self.count += 1

    # --- out

    def is_behind(self) -> bool:
        """Whether something waits for a thread."""
        return self.count > len(self.here)

    def next_for_thread(self, away: int, now: float) -> ServerExchange | None:
        """The exchange to start on another thread now; it waits no longer."""
        if away < self.threads:
            lanes = [lane for lane in (self.prompt, self._waits) if lane]
            if self.computes and self._may_compute(now):
                lanes.append(self.computes)
            if not lanes:
                return None
            return self._start(min(lanes, key=_asked_first), now)
        if away < self.most:
            # One that computes ends by itself.
            if self.computes and not self._computing:
                return self._start(self.computes, now)
            if now < self.moved + HELD:
                return None
            for place, exchange in enumerate(self.prompt):
                if self.in_reserve[exchange.key] < OF_ONE_KEY:
                    del self.prompt[place]
                    self.count -= 1
                    self.use_reserve(exchange)
                    return exchange
        return None

    def put_back(self, exchange: ServerExchange) -> None:
        """There is no thread for it after all."""
        self.ended(exchange)
        if exchange.lane is not None:
            self._lanes[exchange.lane].appendleft(exchange)
            self.count += 1

    def next_here(self) -> ServerExchange | None:
        """The exchange that the leader is to run; it waits no longer."""
        if not self.here:
            return None
        self.count -= 1
        return self.here.popleft()

    def first_of_keys(self) -> list[ServerExchange]:
        """The first request of each brief key that waits."""
        first: dict[Hashable, ServerExchange] = {}
        for exchange in self.prompt:
            first.setdefault(exchange.key, exchange)
        return list(first.values())

    def call_back(self, key: Hashable) -> None:
        """The leader is to run the requests of `key` after all."""
        for lane in (self._waits, self.computes, self.prompt):
            for exchange in [each for each in lane if each.key == key]:
                lane.remove(exchange)
                exchange.lane = HERE
                self.here.append(exchange)

    def take_out(self, exchange: ServerExchange) -> bool:
        """Forget one that waits: it is not going to run. Whether it did wait."""
        lane = self._lanes[exchange.lane] if exchange.lane is not None else ()
        if exchange not in lane:
            return False
        lane.remove(exchange)  # type: ignore[union-attr]
        self.count -= 1
        return True

    def older_than(self, moment: float) -> list[ServerExchange]:
        """Those that have waited since before `moment`, taken out."""
        found: list[ServerExchange] = []
        for lane in self._lanes.values():
            while lane and lane[0].asked < moment:
                found.append(lane.popleft())
        self.count -= len(found)
        return found

    def oldest(self) -> float | None:
        """Since when the one waits that has waited longest; None when nothing waits."""
        return min((lane[0].asked for lane in self._lanes.values() if lane), default=None)

    def due(self) -> float:
        """When `next_for_thread` may say something else although nothing has ended."""
        computes = self._began + HOLD if self.computes else math.inf
        return min(computes, self.moved + HELD) if self.prompt else computes

    def _may_compute(self, now: float) -> bool:
        return self._computing < self._at_once or now >= self._began + HOLD

    def _start(self, lane: deque[ServerExchange], now: float) -> ServerExchange:
        exchange = lane.popleft()
        self.count -= 1
        if lane is self.computes:
            self._computing += 1
            self._began = now
        return exchange

    def ended(self, exchange: ServerExchange) -> None:
        """`exchange`, which had a thread, is done."""
        if exchange.lane is COMPUTES:
            self._computing -= 1
        if exchange.reserve:
            exchange.reserve = False
            self.in_reserve[exchange.key] -= 1
            if not self.in_reserve[exchange.key]:
                del self.in_reserve[exchange.key]

    # --- the reserve

    def use_reserve(self, exchange: ServerExchange) -> None:
        """`exchange` runs above `threads`."""
        exchange.reserve = True
        self.in_reserve[exchange.key] += 1


def _asked_first(lane: deque[ServerExchange]) -> float:
    return lane[0].asked
