"""Runs requests on the leader's thread, or finds another place for them.

The leader first reads what all connections have sent (`ready`), then runs the requests, then sends
the responses (`made`), several at a time. Each of the three has much code, of Python, of C and of
the kernel. If they alternated, they would push each other out of the caches of the processor.
A response that is made waits only for handlers that are known to be quick.

Only the leader uses this file, with two exceptions: the thread that replaces a leader calls
`deposed`, and a thread that runs a request calls `before_waiting`. What the crew does with a
request is in server/runner.py.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from io import BytesIO
from typing import NoReturn

from carboy.gateway.interface import ANSWERED, LATER, Answer
from carboy.net.poller import READ
from carboy.protocol.states import Reading
from carboy.server.balancing import BUSY
from carboy.server.crew import Deposed, Lead
from carboy.server.exchange import ServerExchange
from carboy.server.keep_alive import KeepAlive
from carboy.server.pipelining import Pipelining
from carboy.server.queueing import HELD
from carboy.server.responder import LARGE
from carboy.server.runner import Runner
from carboy.server.scheduling import Scheduler
from carboy.server.scoreboard import Row
from carboy.server.settings import Settings

clock = time.monotonic
Seen = bytes | None  # bytes that begin with the head of a request, if they are at hand
MOST_MADE = 16  # whole responses that are made before they are sent
# Of handlers that take a part of the budget, only as many as run in so many seconds, and only while
# so many more requests wait: then the time is little beside what the last of them waits.
LONGEST_HOLD = 0.001
MANY_READY = 8
MORE_READ = Reading.HEAD  # where the machine is when it has bytes of the next request
NEXT_REQUEST = Reading.IDLE  # where the machine is when it may read another request


class DispatcherSlots:
    """The attribute that compiled functions read for each request."""

    __slots__ = ("handle",)


class Dispatcher(DispatcherSlots):
    """Runs requests for an engine, or has them run."""

    def __init__(
        self,
        settings: Settings,
        runner: Runner,
        scheduler: Scheduler,
        keep_alive: KeepAlive,
        row: Row,
    ) -> None:
        # Requests that were read in this turn. If the lead is lost, the next leader runs the rest.
        self.ready: deque[tuple[ServerExchange, Seen]] = deque()
        # Whole responses that were made in this turn. If the lead is lost, the next leader sends
        # them.
        self.made: deque[tuple[ServerExchange, bytes]] = deque()
        self.handle = runner.gateway.handle  # a gateway may choose another one before each turn
        self._runner = runner
        self._crew = runner.crew
        self._responder = runner.responder
        self._in_flight = runner.in_flight
        self._show = runner.in_flight.read
        self._memory = runner.in_flight.memory
        self._scheduler = scheduler
        self._queue = scheduler.queue
        self._averages = self._responder.averages = scheduler.times.averages
        self._budget = settings.inline_budget
        if self._crew.single_threaded:
            self.keep_all()
        self._worth = scheduler.times.worth
        self._longest_hold = LONGEST_HOLD
        self._finish = keep_alive.finish
        self.pipelining = Pipelining(keep_alive)
        self.hold_back = self.pipelining.hold_back
        self._cells = row.cells
        self._responder.before_waiting = self.before_waiting
        self._crew.on_deposed = self.deposed

    def keep_all(self) -> None:
        """No request is ever placed elsewhere."""
        self._budget = math.inf

    def go_on(self, lead: Lead, dispatch: Callable[..., None]) -> None:
        """Send and run what a deposed leader has left; `dispatch`: the method below or its twin."""
        self.send_left()
        while self.ready:
            dispatch(lead, *self.ready.popleft())

    def send_left(self) -> None:
        """Send the responses that were made."""
        while self.made:
            exchange, response = self.made.popleft()
            exchange.connection.push(response)
            self._finish(exchange, clock())

    def dispatch(
        self, lead: Lead, exchange: ServerExchange, data: Seen = None, slow: bool = False
    ) -> None:
        """Run the exchange here, unless it has another place; `data`: as in `ready`."""
        if data is None:
            self._in_flight.leader_runs(exchange)
        else:
            self._show(self._memory, 0, data)
        average = self._averages.get(exchange.key)
        if average != 0.0 and exchange.connection.corked is not None:
            exchange.connection.uncork()  # no response waits for a handler that may be slow
        crew = self._crew
        exchange.began = began = clock()
        if (
            (average is None or average > self._budget or slow)
            and not exchange.queued_at  # it has waited, and this is its place
            and self._placed(exchange, average, slow)
        ):
            return
        slot = lead.slot
        slot.append(exchange)
        if crew.asleep:
            crew.wake_watcher()
        responder = self._responder
        response = b""  # a whole one
        handle = exchange.continuation or self.handle
        try:
            status, headers, body, close = answer = exchange.context.run(handle, exchange)
            if close is None and body.__class__ is bytes and responder.plain and len(body) < LARGE:
                # What Responder.deliver does for nearly every response, without its calls
                # (tests/server/test_inlined_paths.py compares the two).
                response = exchange.connection.machine.whole_response(
                    status, headers, body, responder.extra.lines
                )
                if responder.count is not None:
                    responder.count(exchange, status, len(body))
            else:
                response = self.answered(exchange, answer)
        except BaseException as error:
            exchange.context.run(responder.fail, exchange, error)
        now = clock()
        try:
            slot.pop()
        except IndexError:
            self.lost(exchange, response, now - began)
        if average != 0.0 or now - began > self._worth:
            self._scheduler.ran_here(exchange, now - began)
        made, ready = self.made, self.ready
        if response:
            made.append((exchange, response))
        else:
            self._finish(exchange, now)
        if ready and len(made) < MOST_MADE:
            expected = self._averages.get(ready[0][0].key)
            if expected == 0.0 or (expected is not None and self._may_hold(expected, now)):
                return
        while made:
            exchange, response = made.popleft()
            connection = exchange.connection
            machine = connection.machine
            if machine.reading is MORE_READ and self.hold_back(exchange, response, now):
                continue
            # What KeepAlive.finish does for nearly every response, without its calls.
            if (
                connection.push(response)
                and machine.reading is NEXT_REQUEST
                and ((received := exchange.body) is None or received.__class__ is BytesIO)
                and not machine.excess
                and connection.interest == READ  # not after it has waited
            ):
                connection.since = now
                if received is not None:
                    received.close()
                exchange.cached_environ = None  # each would keep the other alive
            else:
                self._finish(exchange, now)

    def _may_hold(self, expected: float, now: float) -> bool:
        """Whether what was made may wait for a handler that takes about `expected` seconds."""
        made = self.made
        return (
            bool(made)
            and len(self.ready) >= MANY_READY
            and now - made[0][0].began + expected <= self._longest_hold
        )

    def answered(self, exchange: ServerExchange, answer: Answer) -> bytes:
        """The whole response that is to be sent for an answer; b"" if it is sent or comes later."""
        status, headers, body, close = answer
        responder = self._responder
        if answer is ANSWERED:
            return exchange.made
        if (
            close is None
            and body.__class__ is bytes
            and not exchange.head_begun
            and not exchange.head.upgrade
        ):
            return responder.whole(exchange, status, headers, body)
        if answer is not LATER:
            exchange.context.run(responder.deliver, exchange, answer)
        return b""

    def lost(self, exchange: ServerExchange, response: bytes, seconds: float) -> NoReturn:
        """Another thread has taken the lead while this one ran the exchange. Raises Deposed."""
        if response:
            exchange.connection.push(response)
        self._runner.give_back(exchange, seconds)
        raise Deposed from None

    def _placed(self, exchange: ServerExchange, average: float | None, slow: bool) -> bool:
        """Whether the scheduler has another place for the exchange than this thread, now."""
        placed = self._scheduler.place(exchange, average, exchange.began, slow)
        if placed:
            self._cells[BUSY] = self._crew.away + self._queue.count
        return placed

    def run_one_queued(self, lead: Lead, now: float) -> None:
        """Run one request that has waited for the leader, and give threads to others."""
        # A handler may have returned its generator meanwhile, which is counted apart.
        if now >= min(self._queue.due(), self._queue.relieved + HELD):
            self._scheduler.start_waiting(now)
        self._cells[BUSY] = self._scheduler.busy()
        exchange = self._scheduler.next_for_leader(now)
        if exchange is not None:
            self.dispatch(lead, exchange)
        self._cells[BUSY] = self._scheduler.busy()

    def take_back(self) -> None:
        """Finish what other threads have given back."""
        for exchange in self._runner.take_back():
            now = clock()
            self._scheduler.taken_back(exchange, now)
            if self._queue.count:
                self._scheduler.start_waiting(now)
            self._finish(exchange, now)
        self._cells[BUSY] = self._scheduler.busy()

    def before_waiting(self, exchange: ServerExchange) -> None:
        """Called by a thread before it waits for a slow client: it must not lead meanwhile."""
        lead = self._crew.current
        if not self._crew.single_threaded and lead.slot[:1] == [exchange]:
            self._crew.depose(lead)

    def deposed(self, exchange: ServerExchange, seconds: float) -> None:
        """The exchange has held the leader for `seconds`, and another thread is about to lead."""
        self._in_flight.begin(exchange)
        exchange.connection.uncork()
        self._scheduler.deposed(exchange, seconds)
