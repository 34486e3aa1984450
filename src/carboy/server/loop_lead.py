"""Leads on the thread of an event loop, if everything that an engine serves runs on that loop.

With a leader on a thread of its own, each request would pass from the leader to the loop and back,
and both threads would compete for the interpreter lock.

    the loop     the poller is ready, or it is time to look at the clock ──▶ a turn; then the tasks
    a stand-in   a task keeps the loop from running ──▶ leads until the loop wants to

There is one Lead. `_free` holds it while no thread uses it, and taking it out of the list is
atomic, so exactly one thread has it. The loop takes it for each turn, and puts it back before any
task runs, except for first steps, which are made in the turn (gateway/asgi.py). If the loop finds
the list empty, the stand-in leads: the loop sets `one_turn` and wakes it, and the stand-in puts the
Lead back after its turn and wakes the loop. If the loop sets `one_turn` when the Lead has just been
put back, the next stand-in makes a single turn, and comes again.

If a first step keeps the loop from running, the stand-in takes the lead as a thread of the crew
would (Crew.take_over), and leads with another Lead, `_lead` from then on. The loop finds after that
step that its Lead is lost, and asks for the other one. It may read `_lead` before the stand-in has
set it: then its request has no effect, and it asks again when the poller is ready the next time.

The stand-in looks whether something waits for a turn, and leads if the loop has made none since the
look before. Until then, at most two intervals pass.

Only the loop's thread ends the engine, because the poller has to leave the loop before it is
closed. The stand-in wakes the loop for that.
"""

from __future__ import annotations

import threading
import time
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

from carboy.gateway.interface import Gateway
from carboy.net.poller import Poller, is_ready
from carboy.net.threads import start_thread
from carboy.net.waker import Waker
from carboy.server.crew import Crew, Lead

if TYPE_CHECKING:
    import asyncio

    from carboy.net.loop import Loop

clock = time.monotonic
NEVER = float("inf")
LOOK = 0.1  # seconds between two looks of the stand-in
SLACK = 0.01  # seconds that the timer may be late, so that few turns have to set it


class Led(Protocol):
    """The engine."""

    poller: Poller

    def turns(self, lead: Lead) -> bool:
        """Make turns as `lead` says; returns whether the engine goes on."""
        ...

    def _turn(self, lead: Lead) -> None: ...

    def patience(self) -> float:
        """Seconds to the next look at the clock; negative: until something is ready."""
        ...

    def end(self) -> None:
        """Called after the last turn."""
        ...


class LoopLead:
    """Leads `engine` on the thread of `loop`.

    `poller` is the descriptor of the engine's poller, `waker` wakes a leader that waits for it.
    """

    @classmethod
    def of(cls, gateway: Gateway, engine: Led, crew: Crew, waker: Waker) -> LoopLead | None:
        """A LoopLead instead of the crew, if the gateway runs everything on one loop."""
        loop: Loop | None = getattr(gateway, "only_loop", None)
        if loop is None:
            return None
        try:
            poller = engine.poller.fileno()
        except AttributeError:  # select() and poll() have no descriptor
            return None
        crew.led_by_loop = True
        # A compiled first step has no frame of its own below those of the application.
        loop.watch.learn(engine._turn.__code__, _name_of, _exchange_of)
        return cls(engine, loop, poller, crew, waker)

    def __init__(self, engine: Led, loop: Loop, poller: int, crew: Crew, waker: Waker) -> None:
        self._engine = engine
        self._loop = loop
        self._poller = poller
        self._crew = crew
        self._lead = crew.current
        self._waker = waker
        self._free: list[Lead] = []
        self._turns = 0  # that the loop has made
        self._due = NEVER  # monotonic seconds: the next turn, if the poller is not ready before
        self._ended = threading.Lock()  # held until the end: the stand-in waits for it
        self._ended.acquire()
        # only for the loop
        self._timer: asyncio.TimerHandle | None = None
        self._over = False

    def start(self) -> None:
        """Begin to lead; any thread may call this, once. Raises NoThread, and does not lead."""
        # A daemon: a stand-in that leads must not keep the process from ending.
        start_thread(threading.Thread(target=self._stand_by, name="carboy-stand-in", daemon=True))
        self._free.append(self._lead)
        self._loop.wake(self._begin)

    def stop(self) -> None:
        """Have the loop look whether the engine has ended; any thread may call this."""
        self._loop.wake(self._turn)

    # --- on the loop

    def _begin(self) -> None:
        self._loop.start().add_reader(self._poller, self._turn)
        self._turn()

    def _turn(self) -> None:
        if self._over:
            return
        try:
            lead = self._free.pop()
        except IndexError:
            self._lead.one_turn = True
            self._waker.wake()
            return
        self._turns += 1
        lead.one_turn = True
        if self._engine.turns(lead):
            if lead.lost:
                self._loop.wake(self._turn)
                return
            lead.one_turn = False
            patience = self._engine.patience()
            self._free.append(lead)
            self._turn_after(patience)
        else:
            self._finish()

    def _turn_after(self, patience: float) -> None:
        """Have a turn made after some seconds, unless the poller is ready before."""
        due = clock() + patience if patience >= 0.0 else NEVER
        if self._due <= due + SLACK:
            return  # an early turn does no harm
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = self._loop.start().call_later(patience, self._timed_turn)

    def _timed_turn(self) -> None:
        self._timer = None
        self._due = NEVER
        self._turn()

    def _finish(self) -> None:
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        self._loop.start().remove_reader(self._poller)
        self._ended.release()
        self._engine.end()

    # --- the stand-in

    def _stand_by(self) -> None:
        turns = -1
        waited = False
        while not self._ended.acquire(timeout=LOOK):
            waits = is_ready(self._poller) or clock() > self._due + LOOK
            if waits and waited and turns == self._turns:
                self._stand_in()
                waits = False
            waited = waits
            turns = self._turns

    def _stand_in(self) -> None:
        try:
            lead = self._free.pop()
        except IndexError:
            taken: list[Lead] = []
            if not self._crew.take_over(self._lead, taken.append):
                return  # the loop goes on
            self._lead = lead = taken.pop()
        self._engine.turns(lead)
        lead.one_turn = False
        self._free.append(lead)
        self._loop.wake(self._turn)


def _exchange_of(frame: FrameType) -> Any:
    """The request that makes its first step in a turn, or None."""
    return next(iter(frame.f_locals["lead"].slot[-1:]), None)


def _name_of(frame: FrameType) -> str:
    exchange = _exchange_of(frame)
    return "The server" if exchange is None else str(exchange.request_line())
