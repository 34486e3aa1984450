"""How an engine stops: who asked for it, what is still waited for, and when it is over.

phase                    thread                    touches
asked for (`ask`)        any, or a signal handler  _wishes, asked, over; the wakers
begun (`begin`, `tick`)  the leader                door, connections
waited for               the one in `Engine.run`   its bell; the listeners, under the door's lock
"""

from __future__ import annotations

import logging
import time
from collections.abc import Container

from carboy.net.poller import READ, make_poller
from carboy.net.waker import Waker
from carboy.server.accepting import Accepting
from carboy.server.answer import Answering
from carboy.server.closing import Closing
from carboy.server.connection import IDLE, RUNNING, STREAMING, WRITING, Connection
from carboy.server.crew import Crew
from carboy.server.listening import ListenerPolicy, Listeners
from carboy.server.raw_socket import has_switched_protocol
from carboy.server.settings import Settings
from carboy.server.signals import in_main_thread, waking

log = logging.getLogger("carboy.error")
clock = time.monotonic
NEVER = float("inf")
NEWCOMER = 1.0  # seconds that a stop waits for the first byte of a connection
# Seconds after an answer in which a stop expects another request, however short the idle grace.
LIVELY = 0.25
HURRY = 0.05  # seconds between looks at the clock during a stop
# Seconds between looks of a thread that is not the main one for an exception that another thread
# has raised in it (PyThreadState_SetAsyncExc): the interpreter does that between two bytecodes.
LOOK = 0.1
STALLED = 5.0  # seconds without a byte, from the first look on
STUCK = 0.5  # seconds for the leader to notice the end; inside a handler it never will


class Stopping:
    """The end of one engine, from the first wish to stop until nothing is left."""

    def __init__(
        self, settings: Settings, connections: dict[int, Connection], waker: Waker
    ) -> None:
        self._wishes: list[ListenerPolicy] = []
        self.asked: ListenerPolicy | None = None  # the greatest wish
        self.over = False
        self._begun = 0.0  # monotonic seconds
        self._give_up_at = 0.0
        self._emptied = ListenerPolicy.KEEP  # what has been done at the listeners
        self._idle_grace = settings.idle_grace
        self._settings = settings
        self._connections = connections
        self._waker = waker  # the leader's
        self._stalled = StalledClients()
        # Rung for the thread in `Engine.run`. A lock would not do: `ask` may be called by a signal
        # handler on that very thread while it holds it.
        self._bell = Waker(pipe=True)

    def use(
        self,
        crew: Crew,
        listeners: Listeners,
        accepting: Accepting,
        closing: Closing,
        answering: Answering,
    ) -> None:
        """The parts of the engine whose work is brought to an end."""
        self._crew = crew
        self._listeners = listeners
        self._accepting = accepting
        self._closing = closing
        self._answering = answering

    # --- from any thread

    def ask(self, port: ListenerPolicy) -> None:
        """Stop when what runs has finished, at most `graceful_timeout` later."""
        if self.asked is None:
            # In this order: whoever sees that a stop was asked for looks at the times.
            self._begun = clock()
            self._give_up_at = self._begun + self._settings.graceful_timeout
        self._wishes.append(port)
        # Another thread or a signal handler may do the same between any two steps. Whoever
        # assigns last sees every wish that is in the list, so the greatest one wins.
        while self.asked != (greatest := max(self._wishes)):
            self.asked = greatest
        self.wake()

    def wake(self) -> None:
        """Have everybody look whether it is over."""
        for exchange in self._crew.current.slot[:]:
            if has_switched_protocol(exchange):
                exchange.connection.cut()  # a leader that speaks another protocol does not look
        self._bell.wake()
        self._waker.wake()

    def hurry(self) -> None:
        """Do not wait for another request of idle connections: somebody waits for the end."""
        self._idle_grace = 0.0
        self._waker.wake()

    def finish(self) -> None:
        """Nothing is waited for any longer."""
        self.over = True
        self._bell.wake()

    def in_flight(self, without: Container[int] = ()) -> list[tuple[str, float]]:
        """Request line and seconds of everything that runs or waits for a thread.

        `without`: ids of exchanges that are left out.
        """
        now = clock()
        found = [
            (each.exchange.request_line(), now - each.exchange.began)
            for each in list(self._connections.values())
            if each.exchange is not None
            and each.phase in (RUNNING, STREAMING)
            and id(each.exchange) not in without
        ]
        found += [(each.request_line(), now - each.began) for each in self._crew.current.slot[:]]
        return found

    # --- only for the thread in Engine.run

    def wait_for_the_end(self) -> None:
        """Block until the end, or until the leader should have seen it long ago."""
        with waking(self._bell.writer):
            bell = make_poller(self._settings.poller)
            bell.add(self._bell.fileno(), READ)
            look = NEVER if in_main_thread() else LOOK
            try:
                while not self.over:
                    left = NEVER
                    if self.asked is not None:
                        left = self._give_up_at + STUCK - clock()
                        self._empty_listeners(self.asked)
                    patience = min(look, left)
                    if bell.wait(-1.0 if patience == NEVER else max(0.0, patience)):
                        self._bell.clear()
                    elif left <= look:
                        self._log_running()  # the leader itself is stuck inside a handler
                        break
            finally:
                bell.close()

    def close(self) -> None:
        """Let go of the descriptors; nobody waits any more."""
        self._bell.close()

    # --- the listeners, by that thread and by the leader

    def _empty_listeners(self, port: ListenerPolicy) -> bool:
        """Take what waits at our own listeners, once; whether nothing waits any more.

        Whoever is first does it: with one thread the leader may be busy for long, and the port
        is to be closed now. What the other thread has taken comes to the leader by its waker.
        """
        if port < ListenerPolicy.DRAIN:
            return False
        if self._emptied < port and self._listeners.empty(port):
            self._emptied = port
            self._waker.wake()
        return self._emptied == port

    # --- only for the leader

    def begin(self, now: float) -> None:
        """What was asked for is done from here on; may be called again."""
        if not self._answering.stopping:
            self._answering.stop()
        self.tick(now)

    def tick(self, now: float) -> None:
        """Close what is not waited for (any longer); the end when nothing is left."""
        awaited = False
        for connection in list(self._connections.values()):
            if connection.exchange is not None and has_switched_protocol(connection.exchange):
                connection.cut()  # a WebSocket has no end of its own
            elif connection.phase is IDLE or connection.is_silent():
                if self._is_awaited(connection, now):
                    awaited = True
                elif connection.is_quiet():
                    self._closing.close(connection)
            elif self._stalled.has(connection, now):
                connection.reset_on_close()
                self._closing.close(connection)
        self._leave_the_listeners(now, awaited)
        if not self._connections and self._listeners.closed:
            self.finish()
        elif now >= self._give_up_at:
            self._log_running()
            self.finish()

    def _is_awaited(self, connection: Connection, now: float) -> bool:
        """Whether the next request of an idle connection may be on its way.

        Who has only just connected is about to ask, and nobody else would answer. Who has asked
        before may ask again, and would lose the request if the connection were closed right now:
        until `idle_grace` is over it is answered, with the word that it was the last.
        """
        least = LIVELY if connection.phase is IDLE else NEWCOMER
        since = connection.since
        return now - since <= least or now - max(since, self._begun) <= self._idle_grace

    def _leave_the_listeners(self, now: float, awaited: bool) -> None:
        port = self.asked or ListenerPolicy.KEEP
        if port is ListenerPolicy.RESTART and awaited and now - self._begun <= self._idle_grace:
            return  # nobody else accepts, and there is time
        if not self._listeners.closed:
            self._listeners.close()
        if self._empty_listeners(port):
            self._listeners.let_go(port)
        self._accepting.admit_taken(now)

    def _log_running(self) -> None:
        for line, seconds in self.in_flight():
            log.warning("Stopped while running: %s (for %.1f s)", line, seconds)


class StalledClients:
    """Looks at connections again and again. Only for the leader."""

    def __init__(self) -> None:
        self._seen: dict[Connection, tuple[int, float]] = {}  # bytes sent, monotonic seconds

    def has(self, connection: Connection, now: float) -> bool:
        """Whether the client of `connection` owes us a read for too long.

        That of a request which still runs is judged by the bytes that its thread waits to send.
        """
        phase = connection.phase
        if not (
            phase is STREAMING or phase is WRITING or (phase is RUNNING and connection.pending)
        ):
            self._seen.pop(connection, None)
            return False
        moved, since = self._seen.get(connection, (-1, now))
        if moved != connection.moved:
            self._seen[connection] = connection.moved, now
            return False
        return now - since > STALLED
