"""Where a request runs: on the leader, on another thread, or not yet.

    quick, or not seen before     the leader, at once
    slow only because of others   the leader, at once
    computes, not for long        the leader, one between two turns, in order of arrival
    computes for longer           another thread, a few at a time
    waits for something else      another thread

A request without a thread waits in a queue (server/queueing.py). Requests whose clients have gone
are removed without being run, and requests that wait too long, or are too many, get 503. Only the
leader calls this file, except for `deposed`, which the thread that replaces a leader calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Hashable

from carboy.server.busy_warnings import BusyWarnings
from carboy.server.connection import IDLE, RUNNING
from carboy.server.crew import Crew
from carboy.server.disconnects import has_disconnected, has_left
from carboy.server.dispatch_times import BRIEF, DispatchTimes, since, usage, used_by
from carboy.server.exchange import ServerExchange
from carboy.server.machine import usable_cpus
from carboy.server.queueing import (
    ANY_THREAD,
    CPU_THREAD,
    LEADER,
    OF_ONE_KEY,
    STUCK_IN_ONE_KEY,
    THREAD,
    UNKNOWN,
    Queue,
    WaitsFor,
    reserve_of,
)
from carboy.server.request_start import before
from carboy.server.responder import CLIENT_LEFT, TEXT, Responder
from carboy.server.settings import Settings
from carboy.server.shedding import Shedding, refusal
from carboy.server.streams import Streams

UNAVAILABLE = "503 Service Unavailable"
UNAVAILABLE_TEXT = b"503 Service Unavailable: the server is busy; try again later.\n"
# Seconds of processor time up to which a handler may run on the leader although it is not quick:
# other requests would lose more by sharing the interpreter with it.
SHORT = 0.005
# The leader stays inside a short handler that computes for this many times its usual time.
PATIENCE = 3.0
BETWEEN_LOOKS = 0.1  # seconds between two checks of all waiting clients
MOST_RETRY = 30  # seconds: the longest Retry-After

Finished = Callable[[ServerExchange, float], None]
WithThread = Callable[[Container[int]], list[tuple[str, float]]]


class Scheduler:
    """Decides where the requests of an engine run, and keeps those that wait."""

    def __init__(
        self,
        settings: Settings,
        crew: Crew,
        streams: Streams,
        times: DispatchTimes,
        responder: Responder,
    ) -> None:
        self._crew = crew
        self._streams = streams
        self.times = times
        self._responder = responder
        self._budget = settings.inline_budget
        self._short = max(settings.inline_budget, SHORT)
        self._limit = settings.queue_limit or math.inf
        # Waiting counts for the time limit of requests.
        limit = settings.request_limits.request_timeout or math.inf
        self._queue_timeout = settings.queue_timeout or math.inf
        self._timeout = min(self._queue_timeout, limit)
        self._has_waited = False  # one of those that wait has waited in front of the server
        self.shedding = Shedding.of(settings, self.busy)
        self.queue = Queue(settings.threads, usable_cpus())
        # Threads of the reserve that unknown keys may use; some are left for brief keys.
        self._most_unknown = reserve_of(settings.threads) - OF_ONE_KEY
        self._warnings = BusyWarnings(settings.threads)
        self._looked_at = 0.0
        # Called with every request that ends without having run.
        self.finished: Finished = _nothing
        streams.departed = self._forget

    # --- in

    def place(
        self, exchange: ServerExchange, average: float | None, now: float, away: bool
    ) -> bool:
        """Find another place for a request that is not known to be quick.

        False when the leader is to run it at once. `away`: the leader must not run the request.
        """
        if self._crew.single_threaded or self._crew.led_by_loop:
            return False
        if exchange.key in self._streams.keys:
            return self._place_apart(exchange, now)
        waits_for = THREAD if away else self._what_for(exchange, average, now)
        if waits_for is None:
            exchange.usage_before = usage()
            return False
        exchange.queued_at = now
        exchange.connection.exchange = exchange
        exchange.connection.enter(RUNNING, now)
        if self.shedding is not None and self.shedding.refuses(exchange, now):
            self._responder.send_whole(exchange, *refusal())
            self.finished(exchange, now)
            return True
        queue = self.queue
        if (
            (waits_for is ANY_THREAD or waits_for is THREAD)
            and self._crew.away < queue.threads
            and not queue.has_waiting_for_thread()
        ):
            # The same as the queue does, without its calls.
            exchange.waits_for = waits_for
            exchange.measure_usage = self.times.wants_usage(exchange.key)
            if self._crew.submit(exchange):
                return True
        self.queue.put(exchange, waits_for)
        exchange.waited_before = before(exchange)
        self._has_waited = self._has_waited or exchange.waited_before > 0.0
        if waits_for is not LEADER:
            self.start_waiting(now)
        if len(self.queue) > self._limit:
            self._refuse_one_of(exchange, now)
        return True

    def _place_apart(self, exchange: ServerExchange, now: float) -> bool:
        exchange.queued_at = now
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

    def _what_for(
        self, exchange: ServerExchange, average: float | None, now: float
    ) -> WaitsFor | None:
        """The thing that the request has to wait for; None: the leader runs it at once."""
        key = exchange.key
        away = self._crew.away
        if average is None:
            queue = self.queue
            free = away < queue.threads or queue.in_reserve[UNKNOWN] < self._most_unknown
            return None if free else THREAD
        times = self.times
        cpu = times.computes(key)
        if cpu:
            if cpu > self._short:
                return CPU_THREAD
            exchange.patience = PATIENCE * cpu
            return LEADER
        if self._is_only_delayed(key) or self._on_trial(key, now):
            return None
        return ANY_THREAD if times.is_brief(key) else THREAD

    def _is_only_delayed(self, key: Hashable) -> bool:
        """Whether the leader may run all requests of a slow key, because they wait for nothing.

        When no thread is left for leaders that get stuck after all, the key gets trials only.
        """
        queue = self.queue
        return self.times.is_only_delayed(key) and (
            self._crew.away < queue.threads or queue.in_reserve[key] < OF_ONE_KEY
        )

    def _on_trial(self, key: Hashable, now: float) -> bool:
        queue, times = self.queue, self.times
        away = self._crew.away
        if away < queue.threads:
            return times.on_trial(key, now)
        stuck = queue.in_reserve[key]
        # Beyond the reserve, one request of each such key runs, to find out whether its route is
        # quick again.
        return (
            stuck < (STUCK_IN_ONE_KEY if away < queue.most else 1)
            and times.is_brief(key)
            and times.on_trial(key, now, stuck > 0)
        )

    # --- out

    def start_waiting(self, now: float) -> None:
        """Give threads to requests that wait."""
        queue, crew = self.queue, self._crew
        if not queue.has_waiting_for_thread():
            return
        if crew.away >= queue.threads:
            queue.relieved = now
            crew.relieve()
        while (exchange := queue.next_for_thread(crew.away, now)) is not None:
            if exchange.queued_at != now and has_left(exchange):
                queue.ended(exchange)
                self._drop(exchange, now)
                continue
            exchange.measure_usage = self.times.wants_usage(exchange.key)
            if crew.submit(exchange):
                continue
            if not crew.has_only_leader():
                queue.put_back(exchange)
                return
            queue.ended(exchange)
            queue.put(exchange, LEADER)
        if queue.for_any_thread and now >= self.times.next_trial:
            for first in queue.first_of_keys():
                if self._on_trial(first.key, now):
                    queue.take_out(first)
                    queue.put(first, LEADER)
                    return

    def next_for_leader(self, now: float) -> ServerExchange | None:
        """The request that the leader is to run between two turns."""
        while (exchange := self.queue.next_for_leader()) is not None:
            if has_left(exchange):
                self._drop(exchange, now)
                continue
            exchange.connection.exchange = None
            exchange.connection.phase = IDLE
            exchange.usage_before = usage()
            return exchange
        return None

    def taken_back(self, exchange: ServerExchange, now: float) -> None:
        """Another thread has run `exchange`, or the old leader has finished it."""
        self.queue.last_free = now
        if exchange.on_stream_thread:
            self._streams.taken_back(exchange)
        else:
            self._crew.release(exchange)
        self.queue.ended(exchange)
        exchange.waits_for = None  # a streamed response may wait for a thread again
        if exchange.resumed:
            return
        if self.shedding is not None:
            self.shedding.ended(exchange, now)
        key, seconds, times = exchange.key, exchange.seconds, self.times
        before = not self.queue.count or self._is_for_leader(key)
        if exchange.usage is not None:
            times.note_usage(key, seconds, exchange.usage)
            exchange.usage = None
        times.note_away(key, seconds)
        if exchange.made_key_slow and seconds <= BRIEF:
            times.forgive(key)
        if not before and self._is_for_leader(key):
            self.queue.move_to_leader(key)

    def ran_here(self, exchange: ServerExchange, seconds: float) -> None:
        """The leader has run `exchange`."""
        key, times = exchange.key, self.times
        before = not self.queue.count or self._is_for_leader(key)
        times.note(key, seconds)
        if exchange.usage_before is not None:
            times.note_usage(key, seconds, since(exchange.usage_before))
            exchange.usage_before = None
        if not before and self._is_for_leader(key):
            self.queue.move_to_leader(key)

    def _is_for_leader(self, key: Hashable) -> bool:
        times = self.times
        return (
            times.is_quick(key)
            or times.is_only_delayed(key)
            or 0.0 < times.computes(key) <= self._short
        )

    def busy(self) -> int:
        """Number of requests that run on other threads or wait."""
        return self._crew.away + self.queue.count

    def waits_for_thread(self) -> bool:
        """Whether a request waits for a thread other than the leader's."""
        return len(self.queue) > len(self.queue.for_leader)

    def deposed(self, exchange: ServerExchange, seconds: float) -> None:
        """The leader is still inside `exchange`, and another thread is about to lead."""
        key = exchange.key
        is_known = key in self.times.averages
        self.times.note(key, seconds, stuck=True)
        before = exchange.usage_before  # read once: its thread deletes the attribute at the end
        used = None if before is None else used_by(exchange.leader_thread, before)
        if used is not None:
            self.times.note_stuck(key, seconds, *used)
        exchange.waits_for = None
        if self._crew.away > self.queue.threads:
            self.queue.use_reserve(exchange, key if is_known else UNKNOWN)
        if self._crew.away > self.queue.most:
            self.times.make_slow(key)
            exchange.made_key_slow = True

    def _forget(self, exchange: ServerExchange) -> None:
        """Forget `exchange`: the streams count its thread from now on."""
        self.queue.ended(exchange)
        exchange.waits_for = None

    # --- once an interval

    def tick(self, now: float, with_thread: WithThread) -> None:
        """About once a second, or when a request may have waited long enough.

        `with_thread`: request line and seconds of everything that has a thread, without the
        exchanges whose ids it gets.
        """
        queue = self.queue
        if len(queue):
            for exchange in queue.older_than(now - self._timeout):
                self._refuse(exchange, now, now - exchange.queued_at)
            if self._has_waited:
                self._refuse_early(now)
            self.start_waiting(now)
        self._check_waiting_streams(now)
        away = self._crew.away
        full = away >= queue.threads and not self._crew.single_threaded

        def running() -> list[tuple[str, float]]:
            return with_thread({*map(id, queue), *map(id, self._streams.waiting())})

        self._warnings.check(now, full, queue.last_free, queue.oldest(), len(queue), running)

    def _refuse_early(self, now: float) -> None:
        """Refuse requests that have waited too long together with their time at the proxy."""
        self._has_waited = False
        for exchange in list(self.queue):
            waited = now - exchange.queued_at + exchange.waited_before
            if waited > self._queue_timeout and self.queue.take_out(exchange):
                self._refuse(exchange, now, waited)
            elif exchange.waited_before:
                self._has_waited = True

    def _check_waiting_streams(self, now: float) -> None:
        for exchange in self._streams.waiting():
            if exchange.rest is not None:
                # Its generator has begun, so a thread has to close it.
                if has_disconnected(exchange.connection) and self._crew.submit(exchange):
                    self._streams.take_out(exchange)
            elif has_left(exchange):
                self._streams.take_out(exchange)
                self._drop(exchange, now)
            elif exchange.queued_at < now - self._timeout:
                self._streams.take_out(exchange)
                self._refuse(exchange, now, now - exchange.queued_at)

    def _refuse_one_of(self, exchange: ServerExchange, now: float) -> None:
        """The queue is too long: refuse requests whose clients have gone, or else `exchange`."""
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
        if self._must_run(exchange):
            return
        if has_left(exchange):
            self._drop(exchange, now)
            return
        self._warnings.refused()
        exchange.refusal = "queue_timeout" if waited >= self._timeout else "queue_limit"
        retry = max(1, min(MOST_RETRY, math.ceil(waited)))
        headers = [*TEXT, ("Retry-After", str(retry))]
        self._responder.send_whole(exchange, UNAVAILABLE, headers, UNAVAILABLE_TEXT)
        self.finished(exchange, now)

    def _must_run(self, exchange: ServerExchange) -> bool:
        """Whether the application has begun the request, and so has to end it: it runs now."""
        return exchange.continuation is not None and self._crew.submit(exchange)

    def _drop(self, exchange: ServerExchange, now: float) -> None:
        if self._must_run(exchange):
            return
        self._warnings.left()
        self._responder.record(exchange, CLIENT_LEFT, 0)
        exchange.connection.broken = True
        self.finished(exchange, now)


def _nothing(exchange: ServerExchange, now: float) -> None:
    pass
