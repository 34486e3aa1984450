"""Where a request runs: on the leader, on another thread, or not yet.

    quick, or not seen before     the leader, at once
    computes, not for long        the leader, one between two turns, in order of arrival
    computes for longer           another thread, a few at a time
    waits for something else      another thread

What has no thread waits in a queue (server/queueing.py). Requests whose clients have gone leave
it without being run, and those that wait too long, or are too many, are answered with 503.
Only the leader calls what is here, but for `deposed`, which is called while nobody leads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable

from carboy.server.answer import CLIENT_LEFT, TEXT, Answering
from carboy.server.busy_warnings import BusyWarnings, Running
from carboy.server.connection import IDLE, RUNNING
from carboy.server.crew import Crew
from carboy.server.disconnects import has_disconnected, has_left
from carboy.server.dispatch_times import BRIEF, DispatchTimes, since, usage, used_by
from carboy.server.exchange import ServerExchange
from carboy.server.queueing import (
    COMPUTES,
    HERE,
    OF_ONE_KEY,
    PROMPT,
    STUCK_IN_ONE_KEY,
    WAITS,
    Lane,
    Queue,
)
from carboy.server.settings import Settings, usable_cpus
from carboy.server.streams import Streams

UNAVAILABLE = "503 Service Unavailable"
UNAVAILABLE_TEXT = b"503 Service Unavailable: the server is busy; try again later.\n"
# Seconds of processor time up to which a handler may run on the leader although it is not quick:
# less than others would lose by sharing the interpreter with it.
SHORT = 0.005
# The leader is left inside a short handler that computes for this many times its usual time.
PATIENCE = 3.0
BETWEEN_LOOKS = 0.1  # seconds between two looks at all clients that wait
MOST_RETRY = 30  # seconds: the longest Retry-After

Finished = Callable[[ServerExchange, float], None]


class Scheduler:
    """Decides for an engine, and keeps what waits."""

    def __init__(
        self,
        settings: Settings,
        crew: Crew,
        streams: Streams,
        times: DispatchTimes,
        answering: Answering,
    ) -> None:
        self._crew = crew
        self._streams = streams
        self._times = times
        self._answering = answering
        self._budget = settings.inline_budget
        self._short = max(settings.inline_budget, SHORT)
        self._limit = settings.queue_limit or math.inf
        self._timeout = settings.queue_timeout or math.inf
        self.queue = Queue(settings.threads, usable_cpus())
        self._most_unknown = self.queue.most - OF_ONE_KEY  # some are left for those that are brief
        self._warnings = BusyWarnings(settings.threads)
        self._looked_at = 0.0
        # Told of every request that is over without having run.
        self.finished: Finished = _nothing
        streams.departed = self._forget

    # --- in

    def place(
        self, exchange: ServerExchange, average: float | None, now: float, away: bool
    ) -> bool:
        """Find another place for a request that is not known to be quick.

        False when the leader is to run it at once. `away`: never the leader.
        """
        if self._crew.alone:
            return False
        if exchange.key in self._streams.keys:
            return self._place_apart(exchange, now)
        lane = WAITS if away else self._lane(exchange, average, now)
        if lane is None:
            exchange.usage = usage()
            return False
        exchange.asked = now
        exchange.connection.exchange = exchange
        exchange.connection.enter(RUNNING, now)
        queue = self.queue
        if (
            (lane is PROMPT or lane is WAITS)
            and self._crew.away < queue.threads
            and not queue.is_behind()
        ):
            # What the queue would do, without its calls.
            exchange.lane = lane
            exchange.measured = self._times.wants_usage(exchange.key)
            if self._crew.submit(exchange):
                return True
        self.queue.put(exchange, lane)
        if lane is not HERE:
            self.start_waiting(now)
        if len(self.queue) > self._limit:
            self._refuse_one_of(exchange, now)
        return True

    def _place_apart(self, exchange: ServerExchange, now: float) -> bool:
        exchange.asked = now
        exchange.connection.exchange = exchange
        exchange.connection.enter(RUNNING, now)
        if self._streams.submit(exchange):
            if len(self._streams) > self._limit:
                self._streams.take_out(exchange)
                self._refuse(exchange, now, 0.0)
            return True
        exchange.connection.exchange = None
        exchange.connection.enter(IDLE, now)
        return False

    def _lane(self, exchange: ServerExchange, average: float | None, now: float) -> Lane | None:
        key = exchange.key
        away = self._crew.away
        if average is None:
            return None if away < self._most_unknown else WAITS
        times = self._times
        cpu = times.computes(key)
        if cpu:
            if cpu > self._short:
                return COMPUTES
            exchange.patience = PATIENCE * cpu
            return HERE
        if self._on_trial(key, now):
            return None
        return PROMPT if times.is_brief(key) else WAITS

    def _on_trial(self, key: Hashable, now: float) -> bool:
        queue, times = self.queue, self._times
        away = self._crew.away
        if away < queue.threads:
            return times.on_trial(key, now)
        stuck = queue.in_reserve[key]
        # Above the reserve one request of each such key: so no route that is quick again waits.
        return (
            stuck < (STUCK_IN_ONE_KEY if away < queue.most else 1)
            and times.is_brief(key)
            and times.on_trial(key, now, stuck > 0)
        )

    # --- out

    def start_waiting(self, now: float) -> None:
        """Give threads to requests that wait."""
        queue, crew = self.queue, self._crew
        if not queue.is_behind():
            return
        if crew.away >= queue.threads:
            queue.relieved = now
            crew.relieve()
        while (exchange := queue.next_for_thread(crew.away, now)) is not None:
            if exchange.asked != now and has_left(exchange):
                queue.ended(exchange)
                self._drop(exchange, now)
                continue
            exchange.measured = self._times.wants_usage(exchange.key)
            if crew.submit(exchange):
                continue
            if not crew.is_alone():
                queue.put_back(exchange)
                return
            queue.ended(exchange)
            queue.put(exchange, HERE)
        if queue.prompt and now >= self._times.next_trial:
            for first in queue.first_of_keys():
                if self._on_trial(first.key, now):
                    queue.take_out(first)
                    queue.put(first, HERE)
                    return

    def next_here(self, now: float) -> ServerExchange | None:
        """The request that the leader is to run between two turns."""
        while (exchange := self.queue.next_here()) is not None:
            if has_left(exchange):
                self._drop(exchange, now)
                continue
            exchange.connection.exchange = None
            exchange.connection.phase = IDLE
            exchange.usage = usage()
            return exchange
        return None

    def given_back(self, exchange: ServerExchange, now: float) -> None:
        """Another thread has run `exchange`, or finished it after it had been deposed."""
        self.queue.moved = now
        if exchange.apart:
            self._streams.given_back(exchange)
        else:
            self._crew.given_back(exchange)
        self.queue.ended(exchange)
        exchange.lane = None  # a streamed response may get a thread again
        if exchange.resumed:
            return
        key, seconds, times = exchange.key, exchange.seconds, self._times
        before = not self.queue.count or self._is_for_leader(key)
        if exchange.used is not None:
            times.note_usage(key, seconds, exchange.used)
            exchange.used = None
        times.note_away(key, seconds)
        if exchange.condemned and seconds <= BRIEF:
            times.pardon(key)
        if not before and self._is_for_leader(key):
            self.queue.call_back(key)

    def ran_here(self, exchange: ServerExchange, seconds: float) -> None:
        """The leader has run `exchange`."""
        key, times = exchange.key, self._times
        before = not self.queue.count or self._is_for_leader(key)
        times.note(key, seconds)
        if exchange.usage is not None:
            times.note_usage(key, seconds, since(exchange.usage))
            exchange.usage = None
        if not before and self._is_for_leader(key):
            self.queue.call_back(key)

    def _is_for_leader(self, key: Hashable) -> bool:
        times = self._times
        return times.is_quick(key) or 0.0 < times.computes(key) <= self._short

    def busy(self) -> int:
        """How many requests run on other threads or wait."""
        return self._crew.away + self.queue.count

    def waits_for_thread(self) -> bool:
        """Whether a request waits for a thread other than the leader's."""
        return len(self.queue) > len(self.queue.here)

    def deposed(self, exchange: ServerExchange, seconds: float) -> None:
        """The leader is still inside `exchange`, and another thread leads now."""
        key = exchange.key
        self._times.note(key, seconds, stuck=True)
        before = exchange.usage  # once: its thread takes it away when it is done
        used = None if before is None else used_by(exchange.thread, before)
        if used is not None:
            self._times.note_stuck(key, seconds, *used)
        exchange.lane = None
        if self._crew.away > self.queue.threads:
            self.queue.use_reserve(exchange)
        if self._crew.away > self.queue.most:
            self._times.condemn(key)
            exchange.condemned = True

    def _forget(self, exchange: ServerExchange) -> None:
        """Its thread is counted by the streams from here on."""
        self.queue.ended(exchange)
        exchange.lane = None

    # --- now and then

    def tick(self, now: float, running: Running) -> None:
        """About once a second, or when a request may have waited long enough."""
        queue = self.queue
        if len(queue):
            for exchange in queue.older_than(now - self._timeout):
                self._refuse(exchange, now, now - exchange.asked)
            self.start_waiting(now)
        self._look_at_streams(now)
        away = self._crew.away
        full = away >= queue.threads and not self._crew.alone
        self._warnings.look(now, full, queue.moved, queue.oldest(), len(queue), running)

    def _look_at_streams(self, now: float) -> None:
        for exchange in self._streams.waiting():
            if exchange.rest is not None:
                # Its generator has begun: it is closed, and by a thread.
                if has_disconnected(exchange.connection) and self._crew.submit(exchange):
                    self._streams.take_out(exchange)
            elif has_left(exchange):
                self._streams.take_out(exchange)
                self._drop(exchange, now)
            elif exchange.asked < now - self._timeout:
                self._streams.take_out(exchange)
                self._refuse(exchange, now, now - exchange.asked)

    def _refuse_one_of(self, exchange: ServerExchange, now: float) -> None:
        """The queue is too long: those whose clients have gone leave it, or else `exchange`."""
        if now > self._looked_at + BETWEEN_LOOKS:
            self._looked_at = now
            for other in list(self.queue):
                if has_left(other):
                    self.queue.take_out(other)
                    self._drop(other, now)
        if len(self.queue) > self._limit and self.queue.take_out(exchange):
            oldest = self.queue.oldest()
            self._refuse(exchange, now, now - oldest if oldest is not None else 0.0)

    def _refuse(self, exchange: ServerExchange, now: float, waited: float) -> None:
        if has_left(exchange):
            self._drop(exchange, now)
            return
        self._warnings.refused()
        retry = max(1, min(MOST_RETRY, math.ceil(waited)))
        headers = [*TEXT, ("Retry-After", str(retry))]
        self._answering.send_whole(exchange, UNAVAILABLE, headers, UNAVAILABLE_TEXT)
        self.finished(exchange, now)

    def _drop(self, exchange: ServerExchange, now: float) -> None:
        self._warnings.left()
        self._answering.record(exchange, CLIENT_LEFT, 0)
        exchange.connection.broken = True
        self.finished(exchange, now)


def _nothing(exchange: ServerExchange, now: float) -> None:
    pass
