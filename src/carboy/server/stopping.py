"""How an engine stops: the requested policy, what it still waits for, and when it has ended.

phase                    thread                    touches
asked for (`ask`)        any, or a signal handler  _policies, asked, over; the wakers
begun (`begin`, `tick`)  the leader                listeners, connections
waited for               the one in `Engine.run`   its waker; the listeners, with their lock

`in_flight` may be called by any thread. It only reads, and reads what another thread may change
once.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Container, Iterable

from carboy.net.poller import READ, make_poller
from carboy.net.waker import Waker
from carboy.server.accepting import Accepting
from carboy.server.closing import Closing
from carboy.server.connection import (
    CLOSED,
    IDLE,
    LATER,
    RUNNING,
    STREAMING,
    WRITING,
    Connection,
    Phase,
)
from carboy.server.crew import Crew
from carboy.server.http2.connections import with_streams
from carboy.server.listening import ListenerPolicy
from carboy.server.raw_socket import has_switched_protocol
from carboy.server.responder import Responder
from carboy.server.settings import Settings
from carboy.server.signals import in_main_thread, waking

log = logging.getLogger("carboy.error")
clock = time.monotonic
NEVER = float("inf")
FIRST_BYTE = 1.0  # seconds that a stop waits for the first byte of a connection
# Seconds after a response in which a stop expects another request, however short the idle grace.
NEXT_REQUEST = 0.25
HURRY = 0.05  # seconds between checks of the clock, and of each connection, during a stop
SLICE = 512  # connections that are looked at in one turn; then requests have theirs
# Seconds between looks of a thread that is not the main one for an exception that another thread
# has raised in it (PyThreadState_SetAsyncExc): the interpreter does that between two bytecodes.
LOOK = 0.1
STALLED = 5.0  # seconds without a byte, counted from the first check
STUCK = 0.5  # seconds for the leader to notice the end; a leader inside a handler never does


class Stopping:
    """The end of one engine, from the first call of `ask` until nothing is left."""

    def __init__(
        self,
        settings: Settings,
        connections: dict[int, Connection],
        waker: Waker,
        crew: Crew,
        accepting: Accepting,
        closing: Closing,
        responder: Responder,
    ) -> None:
        self._policies: list[ListenerPolicy] = []  # all requested policies
        self.asked: ListenerPolicy | None = None  # the greatest of them
        self.over = False
        self._begun = 0.0  # monotonic seconds
        self._give_up_at = 0.0
        self._drained = ListenerPolicy.KEEP  # the policy that has been applied to the listeners
        # Called when this engine accepts no more connections, by either thread, perhaps twice.
        self.left: Callable[[], object] = lambda: None
        self._idle_grace = settings.idle_grace
        self._settings = settings
        self._connections = connections
        self._waker = waker  # the leader's
        self._crew = crew
        self._accepting = accepting
        self._listeners = accepting.listeners
        self._closing = closing
        self._responder = responder
        self._stalled = StalledClients()
        # Only for the leader, which looks at thousands of connections slice by slice.
        self.pause = HURRY  # seconds to the next slice
        self._rest: list[Connection] = []  # of the slices of this round
        self._awaited = False  # a request is awaited on a connection of this round
        self._was_awaited = True  # the same of the round before
        # Wakes the thread in `Engine.run`. Not a lock: a signal handler may call `ask` on that
        # very thread while it holds the lock.
        self._run_waker = Waker(pipe=True)

    # --- from any thread

    def ask(self, policy: ListenerPolicy) -> None:
        """Stop when running requests have finished, at most `graceful_timeout` later."""
        if self.asked is None:
            # In this order: a thread that sees `asked` reads the times.
            self._begun = clock()
            self._give_up_at = self._begun + self._settings.graceful_timeout
        self._policies.append(policy)
        # Another thread or a signal handler may do the same between any two steps. The last to
        # assign sees every policy that is in the list, so the greatest one wins.
        while self.asked != (greatest := max(self._policies)):
            self.asked = greatest
        self.wake()

    def wake(self) -> None:
        """Have all waiting threads check whether the engine has ended."""
        for exchange in self._crew.current.slot[:]:
            if has_switched_protocol(exchange):
                exchange.connection.cut()  # a leader that speaks another protocol does not check
        self._run_waker.wake()
        self._waker.wake()

    def hurry(self) -> None:
        """Do not wait for another request of idle connections: a user waits for the end."""
        self._idle_grace = 0.0
        self._waker.wake()

    def finish(self) -> None:
        """Stop waiting for anything."""
        self.over = True
        self._run_waker.wake()

    def seconds_left(self) -> float:
        """Seconds of the graceful timeout that are left; 0.0 without a graceful stop."""
        return 0.0 if self.asked is None else max(0.0, self._give_up_at - clock())

    def in_flight(self) -> list[tuple[str, float]]:
        """Request line and seconds of everything that runs or waits for a thread."""
        return self._described((RUNNING, STREAMING, LATER), ())

    def with_thread(self, waiting: Container[int]) -> list[tuple[str, float]]:
        """The same of everything that has a thread; `waiting`: ids of exchanges that wait."""
        return self._described((RUNNING,), waiting)

    def _described(
        self, phases: Container[Phase], without: Container[int]
    ) -> list[tuple[str, float]]:
        now = clock()
        exchanges = self._crew.current.slot[:]
        for connection in with_streams(self._connections):
            exchange = connection.exchange  # the leader may delete it at any moment
            if exchange is not None and connection.phase in phases:
                exchanges.append(exchange)
        return [(e.request_line(), now - e.began) for e in exchanges if id(e) not in without]

    # --- only for the thread in Engine.run

    def wait_for_the_end(self) -> None:
        """Block until the engine has ended, or the leader should have ended it long ago."""
        with waking(self._run_waker.writer):
            poller = make_poller(self._settings.poller)
            poller.add(self._run_waker.fileno(), READ)
            look = NEVER if in_main_thread() else LOOK
            try:
                while not self.over:
                    left = NEVER
                    if self.asked is not None:
                        left = self._give_up_at + STUCK - clock()
                        self._drain_listeners(self.asked)
                    patience = min(look, left)
                    if poller.wait(-1.0 if patience == NEVER else max(0.0, patience)):
                        self._run_waker.clear()
                    elif left <= look:
                        self._log_running()  # the leader itself is stuck inside a handler
                        break
            finally:
                poller.close()

    def close(self) -> None:
        """Close the descriptors of the waker."""
        self._run_waker.close()

    # --- the listeners, by that thread and by the leader

    def _drain_listeners(self, policy: ListenerPolicy) -> bool:
        """Accept all waiting connections, once; returns whether none is left.

        The first of the two threads does it: with one thread, the leader may be busy for long, and
        the port has to be closed now. The waker notifies the leader of connections that the other
        thread accepted.
        """
        if policy < ListenerPolicy.DRAIN:
            return False
        if self._drained < policy and self._listeners.drain(policy):
            self._drained = policy
            self._waker.wake()
            self.left()
        return self._drained == policy

    # --- only for the leader

    def begin(self, now: float) -> None:
        """Begin to stop; may be called again."""
        if not self._responder.stopping:
            self._responder.stop()
        self.tick(now)

    def tick(self, now: float) -> None:
        """Close connections that the stop does not wait for; finish when none is left.

        Looks at one slice of the connections, and sets `pause`.
        """
        if not self._rest:
            self._rest = with_streams(self._connections)
            self.pause = HURRY / max(1, math.ceil(len(self._rest) / SLICE))
            self._awaited = False
        looked_at = self._rest[-SLICE:]
        del self._rest[-SLICE:]
        self._look_at(looked_at, now)
        if not self._rest:
            self._was_awaited = self._awaited
        self._close_listeners(now, self._awaited or self._was_awaited)
        if not self._connections and self._listeners.closed:
            self.finish()
        elif now >= self._give_up_at:
            self._log_running()
            self.finish()

    def _look_at(self, connections: Iterable[Connection], now: float) -> None:
        for connection in connections:
            if connection.phase is CLOSED:
                continue
            if connection.exchange is not None and has_switched_protocol(connection.exchange):
                connection.cut()  # a WebSocket does not end by itself
            elif connection.phase is IDLE or connection.is_silent():
                if self._is_awaited(connection, now):
                    self._awaited = True
                elif connection.is_quiet():
                    self._closing.close(connection)
            elif self._stalled.has(connection, now):
                connection.reset_on_close()
                self._closing.close(connection)

    def _is_awaited(self, connection: Connection, now: float) -> bool:
        """Whether the next request of an idle connection may be on its way.

        A client that has just connected is about to send a request, which no other process would
        answer. A client that has sent requests before may send another one, and would lose it if
        the connection were closed now. Until `idle_grace` is over, it is answered, and the response
        says that the connection is closed.
        """
        least = NEXT_REQUEST if connection.phase is IDLE else FIRST_BYTE
        since = connection.since
        return now - since <= least or now - max(since, self._begun) <= self._idle_grace

    def _close_listeners(self, now: float, awaited: bool) -> None:
        policy = self.asked or ListenerPolicy.KEEP
        if policy is ListenerPolicy.RESTART and awaited and now - self._begun <= self._idle_grace:
            return  # no other process accepts, and the grace is not over
        if not self._listeners.closed:
            self._listeners.close()
        if self._drain_listeners(policy):
            self._listeners.close_sockets(policy)
        self._accepting.admit_drained(now)

    def _log_running(self) -> None:
        for line, seconds in self.in_flight():
            log.warning("Stopped while a request was running for %.1f s: %s.", seconds, line)


class StalledClients:
    """Clients that do not read their response. Only for the leader."""

    def __init__(self) -> None:
        self._seen: dict[Connection, tuple[int, float]] = {}  # bytes sent, monotonic seconds

    def has(self, connection: Connection, now: float) -> bool:
        """Whether the client of `connection` has not read for too long.

        For a request that still runs, the bytes that its thread waits to send count.
        """
        phase = connection.phase
        if not (
            phase in (STREAMING, WRITING) or (phase in (RUNNING, LATER) and connection.unsent_bytes)
        ):
            self._seen.pop(connection, None)
            return False
        moved, since = self._seen.get(connection, (-1, now))
        if moved != connection.moved:
            self._seen[connection] = connection.moved, now
            return False
        return now - since > STALLED
