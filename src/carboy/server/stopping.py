"""How an engine stops: who asked for it, what is still waited for, and when it is over.

phase                    thread                    touches
asked for (`ask`)        any, or a signal handler  asked, over: single assignments; the wakers
begun (`begin`, `tick`)  the leader                door, connections
waited for               the one in `Engine.run`   only its own bell
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Container

from carboy.net.poller import READ, Poller, make_poller
from carboy.net.waker import Waker
from carboy.server.answer import Answering
from carboy.server.closing import Closing
from carboy.server.connection import HEAD, IDLE, RUNNING, STREAMING, Connection
from carboy.server.crew import Crew, Lead
from carboy.server.door import Door
from carboy.server.handed_over import is_handed_over
from carboy.server.settings import Settings
from carboy.server.signals import in_main_thread, waking
from carboy.server.stalled import Stalled

log = logging.getLogger("carboy.error")
clock = time.monotonic
NEVER = float("inf")
NEWCOMER = 1.0  # seconds that a stop waits for the first byte of a connection
# Seconds after an answer in which a stop expects another request, which may be on its way: it
# is answered, with the word that it was the last, where closing would lose it.
LIVELY = 0.25
HURRY = 0.05  # seconds between looks at the clock during a stop
# Seconds between looks of a thread that is not the main one for an exception that another thread
# has raised in it (PyThreadState_SetAsyncExc): the interpreter does that between two bytecodes.
LOOK = 0.1
STUCK = 0.5  # seconds for the leader to notice the end; inside a handler it never will


class Stopping:
    """The end of one engine, from the first wish to stop until nothing is left.

    `read` is the engine's: it reads from a connection that has a request ready.
    """

    def __init__(
        self,
        settings: Settings,
        connections: dict[int, Connection],
        poller: Poller,
        waker: Waker,
        read: Callable[[Lead, Connection], None],
    ) -> None:
        self.asked: str | None = None  # None, "graceful", "now"
        self.over = False
        self._give_up_at = 0.0
        self._settings = settings
        self._connections = connections
        self._poller = poller
        self._waker = waker  # the leader's
        self._read = read
        self._stalled = Stalled()
        # Rung for the thread in `Engine.run`. A lock would not do: `ask` may be called by a signal
        # handler on that very thread while it holds it.
        self._bell = Waker(octets=True)

    def use(self, crew: Crew, door: Door, closing: Closing, answering: Answering) -> None:
        """The parts of the engine whose work is brought to an end."""
        self._crew = crew
        self._door = door
        self._closing = closing
        self._answering = answering

    # --- from any thread

    def ask(self, graceful: bool) -> None:
        """Stop: when what runs has finished, at most `graceful_timeout` later, or now."""
        if not graceful:
            self.asked = "now"
            self.finish()
        elif self.asked is None:
            # In this order: whoever sees that a stop was asked for looks at the time.
            self._give_up_at = clock() + self._settings.graceful_timeout
            self.asked = "graceful"
        for exchange in self._crew.present.slot[:]:
            if is_handed_over(exchange):
                exchange.connection.cut()  # a leader that speaks another protocol does not look
        self._bell.wake()
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
        found += [(each.request_line(), now - each.began) for each in self._crew.present.slot[:]]
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
                    left = self._give_up_at + STUCK - clock() if self.asked else NEVER
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

    # --- only for the leader

    def begin(self, lead: Lead, now: float) -> None:
        """What was asked for is done from here on; may be called again."""
        if not self._answering.stopping:
            self._answering.stop()
            self._door.close()
            # A request that is here already is answered; only then is idle idle.
            self._turn_once_more(lead)
        self.tick(now)

    def _turn_once_more(self, lead: Lead) -> None:
        for fd, _ in self._poller.wait(0.0):
            connection = self._connections.get(fd)
            if connection is None or connection.behind:
                continue  # what was received from it before is answered in its turn
            if connection.phase in (IDLE, HEAD):
                self._read(lead, connection)

    def tick(self, now: float) -> None:
        """Close what is not waited for (any longer); the end when nothing is left."""
        for connection in list(self._connections.values()):
            if connection.exchange is not None and is_handed_over(connection.exchange):
                connection.cut()  # a WebSocket has no end of its own
            # Who has only just connected is about to ask, and nobody else would answer; but a
            # browser's spare connection, silent for longer, is not waited for.
            patience = LIVELY if connection.phase is IDLE else NEWCOMER
            silent = connection.phase is IDLE or connection.is_silent()
            if silent and now - connection.since > patience:
                self._closing.close(connection)
            elif self._stalled.has(connection, now):
                connection.reset_on_close()
                self._closing.close(connection)
        if not self._connections:
            self.finish()
        elif now >= self._give_up_at:
            self._log_running()
            self.finish()

    def _log_running(self) -> None:
        for line, seconds in self.in_flight():
            log.warning("Stopped while running: %s (for %.1f s)", line, seconds)
