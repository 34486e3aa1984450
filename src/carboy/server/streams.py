"""Streamed responses: set aside while their clients are slow, and counted apart from the crew.

A streamed response (a generator, any iterable) is made by the thread that ran its request, until
its connection has more than `high_water` bytes to send. Then the thread returns, and the rest of
the response stays with the exchange:

    who has it                    phase      what it waits for
    a thread, in Responder        RUNNING    its own source, inside `next`
    the leader, set aside         STREAMING  the client, to take what was made
    the leader, in `waiting`      RUNNING    a thread

A thread that runs code of the application (in `next`, between two calls of `write`, in `close`) may
have left bytes with the connection that the socket did not take. The leader finds them once an
interval and sends them. Both touch what is kept only with the lock `exchange.sending`, which the
thread makes after it has kept the first bytes. The leader never waits for the lock.

The hand-overs are those of every request (server/crew.py). An exchange that is set aside has no
thread, so the leader may send what its connection keeps; after `submit` it may not.

A thread that has taken over the socket of its connection (server/raw_socket.py) is counted apart as
well, once the leader notices it; server/taken_sockets.py limits how many there are.

A thread that waits inside `next` cannot be taken away. So that such responses do not use up the
crew, they are counted apart, at most `stream_threads` of them: when the crew is full, or when one
has run for more than a second. Its dispatch key is remembered then, and further requests of the
key are counted apart from the start. They are only counted apart: the threads are the crew's,
which starts another one when none is idle. Only the leader calls this file.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Hashable

from carboy.net.poller import WRITE
from carboy.server.connection import RUNNING, Connection
from carboy.server.crew import Deposed, Lead
from carboy.server.dispatch_times import DispatchTimes
from carboy.server.exchange import ServerExchange
from carboy.server.raw_socket import has_switched_protocol
from carboy.server.request_body import BodyStream
from carboy.server.runner import Runner
from carboy.server.settings import Settings

log = logging.getLogger("carboy.error")
clock = time.monotonic

LONG = 1.0  # seconds after which a streamed response is expected to wait for its source
WARN_EVERY = 60.0  # seconds between two lines in the log


class Streams:
    """Gives streamed responses their threads."""

    def __init__(
        self,
        settings: Settings,
        runner: Runner,
        times: DispatchTimes,
        watch: Callable[[Connection, int], None],
    ) -> None:
        self._runner = runner
        self._crew = crew = runner.crew
        self._responder = runner.responder
        self._times = times
        self._watch = watch  # has the poller watch a connection
        self.limit = settings.stream_threads
        self.low_water = 0 if crew.single_threaded else settings.high_water // 2
        # Dispatch keys whose responses hold a thread while they wait. Bounded: clients choose
        # paths.
        self.keys: dict[Hashable, None] = {}
        self._keys_size = settings.learned_keys
        self._budget = settings.inline_budget
        self._with_thread: dict[ServerExchange, None] = {}
        # Their applications have taken over the socket; TakenSockets limits their number.
        self._with_socket: dict[ServerExchange, None] = {}
        # They do not end although they are over their time limit (server/time_limits.py).
        self._stuck: dict[ServerExchange, None] = {}
        self._waiting: deque[ServerExchange] = deque()  # for a thread
        self._waiting_since = 0.0
        self._warn_at = 0.0
        # Called with an exchange that the crew no longer counts.
        self.departed: Callable[[ServerExchange], None] = lambda exchange: None
        # Called with an exchange, and the time, when the leader has resumed it.
        self.resumed: Callable[[ServerExchange, float], None] = lambda exchange, now: None
        crew.relieve = self.relieve

    # --- resuming what was set aside

    def resume(self, lead: Lead, connection: Connection) -> None:
        """Continue a response whose client has read some of it, or has gone."""
        exchange = connection.exchange
        everything_sent = connection.flush(self._responder.sendfile)
        if exchange is None or not (everything_sent or connection.unsent_bytes <= self.low_water):
            return
        if self._crew.single_threaded or not self._is_slow(exchange):
            self._resume_here(lead, exchange)
            return
        connection.enter(RUNNING, clock())
        self._watch(connection, 0)
        if not self.submit(exchange):
            self._resume_here(lead, exchange)

    def _is_slow(self, exchange: ServerExchange) -> bool:
        """Whether another thread should make the next pieces."""
        return (
            exchange.deposed
            or exchange.slow_pieces
            or isinstance(exchange.body, BodyStream)
            or not self._times.is_quick(exchange.key)
        )

    def _resume_here(self, lead: Lead, exchange: ServerExchange) -> None:
        """Run the exchange on this thread, as `Engine._dispatch` does."""
        exchange.connection.exchange = None  # the slot holds it
        exchange.returned = False
        slot = lead.slot
        slot.append(exchange)
        if self._crew.asleep:
            self._crew.wake_watcher()
        exchange.leave_thread = False
        exchange.resumed = began = clock()
        exchange.context.run(self._responder.resume, exchange)
        now = clock()
        exchange.slow_pieces = now - began > self._budget
        try:
            slot.pop()
        except IndexError:
            self._runner.give_back(exchange, now - began)
            raise Deposed from None
        self.resumed(exchange, now)

    def send(self, connection: Connection, sendfile: bool) -> bool:
        """Send bytes that a thread in the application has kept; returns whether some are left."""
        exchange = connection.exchange
        sending = exchange.sending if exchange is not None else None
        if sending is None or not sending.acquire(blocking=False):
            return False
        try:
            return not connection.flush(sendfile)
        finally:
            sending.release()

    # --- threads

    def submit(self, exchange: ServerExchange) -> bool:
        """Run `exchange`, or resume its response, on a thread that is counted apart.

        False when the leader's thread is the only one: it has to do that itself.
        """
        if exchange.connection.broken and exchange.rest is not None:
            # The response is only closed, which must not wait for streams that continue.
            return self._crew.submit(exchange)
        if len(self._with_thread) < self.limit:
            if self._start(exchange):
                return True
            if self._crew.has_only_leader():
                return False
        if not self._waiting:
            self._waiting_since = clock()
        self._waiting.append(exchange)
        return True

    def _start(self, exchange: ServerExchange) -> bool:
        exchange.on_stream_thread = True
        exchange.leave_thread = False
        exchange.waits_for = None
        if exchange.rest is not None:
            exchange.resumed = clock()
        self._with_thread[exchange] = None
        if self._crew.submit_uncounted(exchange):
            return True
        exchange.on_stream_thread = False
        del self._with_thread[exchange]
        return False

    def taken_back(self, exchange: ServerExchange) -> None:
        """The thread of an exchange that was counted apart is free."""
        exchange.on_stream_thread = False
        for apart in (self._with_socket, self._stuck):
            if exchange in apart:
                del apart[exchange]
                return
        self._with_thread.pop(exchange, None)
        if exchange.rest is None and clock() - exchange.began < LONG:
            self.keys.pop(exchange.key, None)  # not all responses of this key wait
        self._start_waiting()

    def _start_waiting(self) -> None:
        while self._waiting and len(self._with_thread) < self.limit:
            if not self._start(self._waiting[0]):
                return
            self._waiting.popleft()

    def __len__(self) -> int:
        """How many exchanges have no thread yet."""
        return len(self._waiting)

    def busy(self) -> int:
        """How many threads are counted apart."""
        return len(self._with_thread) + len(self._with_socket)

    def waiting(self) -> list[ServerExchange]:
        """Exchanges that have no thread yet, in their order."""
        return list(self._waiting)

    def with_thread(self) -> list[ServerExchange]:
        """Exchanges whose threads are counted apart; any thread may ask."""
        return list(self._with_thread)

    def take_out(self, exchange: ServerExchange) -> None:
        """Remove an exchange that waits for a thread."""
        self._waiting.remove(exchange)

    # --- counting

    def relieve(self) -> None:
        """Count responses apart if possible, because the crew is full."""
        for exchange in list(self._crew.running):
            if _may_wait(exchange):
                self._count_apart(exchange)

    def tick(self, now: float) -> None:
        """Once an interval: remember what has held a thread for long, send what threads keep."""
        for exchange in list(self._crew.running):
            if has_switched_protocol(exchange):
                self._count_apart(exchange)
            elif now - exchange.began > LONG and _may_wait(exchange):
                self._remember(exchange.key)
                self._count_apart(exchange)
        for exchange in self._with_thread:
            if now - (exchange.resumed or exchange.began) > LONG:
                self._remember(exchange.key)
        for exchange in (*self._crew.running, *self._with_thread):
            connection = exchange.connection
            if exchange.sending is not None and connection.has_unsent:
                self._watch(connection, WRITE)
        self._start_waiting()  # no thread could be started before
        if self._waiting and now - self._waiting_since > LONG:
            self._warn(now)

    def _warn(self, now: float) -> None:
        if now >= self._warn_at:
            self._warn_at = now + WARN_EVERY
            log.warning(
                "All %d stream threads are in use. Streamed responses that wait for one: %d."
                " Use --stream-threads for more.",
                self.limit,
                len(self._waiting),
            )

    def _count_apart(self, exchange: ServerExchange) -> None:
        if has_switched_protocol(exchange):
            apart = self._with_socket
        elif len(self._with_thread) < self.limit:
            apart = self._with_thread
        else:
            exchange.leave_thread = True
            return
        exchange.on_stream_thread = True
        apart[exchange] = None
        self._crew.release(exchange)
        self.departed(exchange)

    @property
    def stuck(self) -> int:
        """Number of threads that `set_apart` counts."""
        return len(self._stuck)

    def set_apart(self, exchange: ServerExchange) -> None:
        """Count a thread of the crew apart, because its request does not end."""
        exchange.on_stream_thread = True
        self._stuck[exchange] = None
        self._crew.release(exchange)
        self.departed(exchange)

    def _remember(self, key: Hashable) -> None:
        if key is not None and key not in self.keys:
            if len(self.keys) >= self._keys_size:
                self.keys.clear()
            self.keys[key] = None


def _may_wait(exchange: ServerExchange) -> bool:
    """Whether the thread of `exchange` may be waiting for the source of a streamed response."""
    return exchange.in_pieces or has_switched_protocol(exchange)
