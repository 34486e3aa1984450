"""Answers in pieces: put aside while their readers are slow, and counted apart from the crew.

An answer in pieces (a generator, any iterable) is made by the thread that ran its request, until
its connection has more than `high_water` bytes to send. Then the thread returns, and what is left
lies with the exchange:

    who has it                    phase      what it waits for
    a thread, in Answering        RUNNING    its own source, inside `next`
    the leader, put aside         STREAMING  the client, to take what was made
    the leader, in `waiting`      RUNNING    a thread

A thread that is in code of the application (in `next`, between two calls of `write`, in `close`)
may have left bytes with the connection that the socket did not take. The leader finds them once an
interval and sends them: both touch what is kept only with the lock `exchange.sending`, which the
thread makes after it has kept the first bytes. The leader never waits for it.

The hand-overs are those of every request: a thread gives an exchange back by the engine's
`_return`, and gets it from the crew's queue. An exchange that is put aside has no thread, so the
leader may send what its connection keeps; from `submit` on it may not.

A thread that waits inside `next` cannot be taken away. So that such answers do not use up the
crew, they are counted apart, at most `stream_threads` of them: when the crew is full, or when one
has run for more than a second. Its dispatch key is remembered then, and further requests of the
key are counted apart from the start. Counting is all there is to it: the threads are the crew's,
which starts another one when none is idle. Only the leader calls anything here.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator

from carboy.net.poller import WRITE
from carboy.server.connection import Connection
from carboy.server.crew import Crew
from carboy.server.exchange import ServerExchange
from carboy.server.raw_socket import has_switched_protocol
from carboy.server.settings import Settings

log = logging.getLogger("carboy.error")
clock = time.monotonic

LONG = 1.0  # seconds after which an answer in pieces is taken for one that waits for its source
COMPLAIN = 60.0  # seconds between two lines in the log


class Rest:
    """What is left of an answer in pieces."""

    __slots__ = ("close", "pieces", "status")

    def __init__(
        self, pieces: Iterator[bytes], status: str, close: Callable[[], object] | None
    ) -> None:
        self.pieces = pieces
        self.status = status
        self.close = close


class Streams:
    """Gives answers in pieces their threads."""

    def __init__(
        self, settings: Settings, crew: Crew, watch: Callable[[Connection, int], None]
    ) -> None:
        self.limit = settings.stream_threads
        self.low_water = 0 if crew.alone else settings.high_water // 2
        # Dispatch keys whose answers hold a thread while they wait. Bounded: clients choose paths.
        self.keys: dict[Hashable, None] = {}
        self._keys_size = settings.learned_keys
        self._crew = crew
        self._watch = watch  # has the poller watch a connection
        self._apart: dict[ServerExchange, None] = {}  # they have a thread
        self._waiting: deque[ServerExchange] = deque()  # for one
        self._waiting_since = 0.0
        self._complain_at = 0.0
        # Told of an exchange that the crew does not count any more.
        self.departed: Callable[[ServerExchange], None] = lambda exchange: None
        crew.relieve = self.relieve

    # --- threads

    def submit(self, exchange: ServerExchange) -> bool:
        """Run `exchange`, or go on with its answer, on a thread that is counted apart.

        False when there is only the leader's thread: it has to do that itself.
        """
        if exchange.connection.broken and exchange.rest is not None:
            # It is only closed, which must not wait for streams that go on.
            return self._crew.submit(exchange)
        if len(self._apart) < self.limit:
            if self._start(exchange):
                return True
            if self._crew.is_alone():
                return False
        if not self._waiting:
            self._waiting_since = clock()
        self._waiting.append(exchange)
        return True

    def _start(self, exchange: ServerExchange) -> bool:
        exchange.apart = True
        exchange.leave_thread = False
        exchange.lane = None
        if exchange.rest is not None:
            exchange.resumed = clock()
        self._apart[exchange] = None
        if self._crew.submit_apart(exchange):
            return True
        exchange.apart = False
        del self._apart[exchange]
        return False

    def given_back(self, exchange: ServerExchange) -> None:
        """The thread of an exchange counted apart is free."""
        exchange.apart = False
        self._apart.pop(exchange, None)
        if exchange.rest is None and exchange.key in self.keys and clock() - exchange.began < LONG:
            del self.keys[exchange.key]  # not all of its answers wait
        self._start_waiting()

    def _start_waiting(self) -> None:
        while self._waiting and len(self._apart) < self.limit and self._start(self._waiting[0]):
            self._waiting.popleft()

    def __len__(self) -> int:
        """How many exchanges have no thread yet."""
        return len(self._waiting)

    def waiting(self) -> list[ServerExchange]:
        """Exchanges that have no thread yet, in their order."""
        return list(self._waiting)

    def take_out(self, exchange: ServerExchange) -> None:
        """Forget one that waits for a thread."""
        self._waiting.remove(exchange)

    def _complain(self, now: float) -> None:
        if now >= self._complain_at:
            self._complain_at = now + COMPLAIN
            log.warning(
                "All %d stream threads are in use. Streamed responses that wait for one: %d."
                " Use --stream-threads for more.",
                self.limit,
                len(self._waiting),
            )

    # --- counting

    def relieve(self) -> None:
        """Count what may be counted apart, since the crew is full."""
        for exchange in list(self._crew.running):
            if _waits(exchange):
                self._count_apart(exchange)

    def look(self, now: float) -> None:
        """Once an interval: remember what has held a thread for long."""
        for exchange in list(self._crew.running):
            if now - exchange.began > LONG and _waits(exchange):
                self._remember(exchange.key)
                self._count_apart(exchange)
        for exchange in self._apart:
            if now - (exchange.resumed or exchange.began) > LONG:
                self._remember(exchange.key)
        for exchange in (*self._crew.running, *self._apart):
            connection = exchange.connection
            if exchange.sending is not None and connection.owes:
                self._watch(connection, WRITE)
        self._start_waiting()  # no thread could be started before
        if self._waiting and now - self._waiting_since > LONG:
            self._complain(now)

    def send(self, connection: Connection, sendfile: bool) -> bool:
        """Send what a thread in code of the application has left; whether some is still left."""
        exchange = connection.exchange
        sending = exchange.sending if exchange is not None else None
        if sending is None or not sending.acquire(blocking=False):
            return False
        try:
            return not connection.flush(sendfile)
        finally:
            sending.release()

    def _count_apart(self, exchange: ServerExchange) -> None:
        if len(self._apart) < self.limit:
            exchange.apart = True
            self._apart[exchange] = None
            self._crew.given_back(exchange)
            self.departed(exchange)
        else:
            exchange.leave_thread = True

    def _remember(self, key: Hashable) -> None:
        if key is not None and key not in self.keys:
            if len(self.keys) >= self._keys_size:
                self.keys.clear()
            self.keys[key] = None


def _waits(exchange: ServerExchange) -> bool:
    """Whether the thread of `exchange` may be waiting for the source of an answer in pieces."""
    return exchange.in_pieces or has_switched_protocol(exchange)
