"""The threads of a worker: one leads, the others run what waits or would make others wait.

Knows no sockets: what leading and running mean it is told.

    leader ──submit──▶ a member runs the exchange ──▶ done, given back to the leader
    leader inside a handler for too long ──watcher──▶ another member leads,
                                                      the old leader finishes as a member

A leadership is one `Lead`. The exchange that the leader runs itself lies in its `slot`; who
takes it out, the leader after the handler or the watcher before, decides who leads on. Taking
from a list is atomic, so the leader's path needs no lock.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from queue import SimpleQueue

from carboy.server.connection import RUNNING
from carboy.server.exchange import ServerExchange

REST = 64  # looks of the watcher at an idle leader before it sleeps until rung


class Lead:
    """One leadership: `slot` holds the exchange its thread runs itself."""

    __slots__ = ("slot",)

    def __init__(self) -> None:
        self.slot: list[ServerExchange] = []


class Crew:
    """At most `threads` exchanges at a time away from the leader; the rest wait in order.

    `lead` leads with the given Lead until deposed or stopped; `run` runs one exchange and
    gives it back. With one thread there is no crew: nothing is submitted and nobody deposed.
    """

    def __init__(
        self,
        threads: int,
        interval: float,
        lead: Callable[[Lead], None],
        run: Callable[[ServerExchange], None],
    ) -> None:
        self.threads = threads
        self.alone = threads == 1
        self._interval = interval
        self._lead = lead
        self._run = run
        self._work: SimpleQueue[ServerExchange | Lead | None] = SimpleQueue()
        self._backlog: deque[ServerExchange] = deque()
        self._started = 0
        self._stopped = False
        # Told the key and seconds so far of what the watcher found to be slow: by its end
        # many more of its kind may have come, each of which would cost another leader.
        self.slow: Callable[[Hashable, float], object] = lambda key, seconds: None
        self.away = 0  # exchanges submitted or left with a deposed leader, not yet given back
        self.present = Lead()
        self.asleep = False  # the watcher: whoever fills the slot has to ring
        self._bell = threading.Semaphore(0)

    # --- life

    def start(self) -> None:
        """Make the first thread lead."""
        # The leader last: once a request is answered nothing is being started. An exception that
        # another thread raises in this one (PyThreadState_SetAsyncExc) while it starts a thread
        # may end that thread instead, and this one would wait for it for ever.
        if not self.alone:
            threading.Thread(target=self._watch, name="carboy-watcher", daemon=True).start()
        self._start_thread(self.present)

    def stop(self) -> None:
        """Let idle threads end; one inside a handler ends after it, or with the process."""
        self._stopped = True
        for _ in range(self._started):
            self._work.put(None)
        self._bell.release()

    def _start_thread(self, first: ServerExchange | Lead) -> None:
        self._started += 1
        name = f"carboy-{self._started}"
        # Daemon: a handler that never returns must not keep the process from ending.
        threading.Thread(target=self._member, args=(first,), name=name, daemon=True).start()

    def _member(self, task: ServerExchange | Lead | None) -> None:
        while task is not None:
            if isinstance(task, Lead):
                self._lead(task)
            else:
                self._run(task)
            if self._stopped:
                return
            del task  # a waiting thread must not keep the last request alive
            task = self._work.get()

    # --- only for the leader

    def submit(self, exchange: ServerExchange) -> None:
        """Run `exchange` on another thread, now or when its turn comes."""
        if self.away >= self.threads:
            self._backlog.append(exchange)
            return
        self.away += 1
        self._put(exchange)

    def given_back(self) -> None:
        """One exchange is done: the next that waits gets its thread."""
        self.away -= 1
        while self._backlog and self.away < self.threads:
            self.submit(self._backlog.popleft())

    def waiting(self) -> list[ServerExchange]:
        """Exchanges that have no thread yet, in their order."""
        return list(self._backlog)

    def _put(self, task: ServerExchange | Lead) -> None:
        # One thread leads and `away` run or are about to: more are started only then.
        if self._started <= self.away:
            self._start_thread(task)
        else:
            self._work.put(task)

    # --- leadership

    def depose(self, lead: Lead) -> bool:
        """Make another thread leader if `lead` still runs a handler; whether it did."""
        try:
            exchange = lead.slot.pop()
        except IndexError:
            return False
        # Nobody leads at this moment, so what is the leader's may be touched.
        exchange.deposed = True
        exchange.connection.exchange = exchange
        exchange.connection.enter(RUNNING, exchange.began)
        self.slow(exchange.key, time.monotonic() - exchange.began)
        self.away += 1
        self.present = Lead()
        self._put(self.present)
        return True

    def ring(self) -> None:
        """Wake the watcher."""
        self.asleep = False
        self._bell.release()

    def _watch(self) -> None:
        seen = None
        quiet = 0
        while not self._stopped:
            time.sleep(self._interval)
            lead = self.present
            now = lead.slot[-1:]
            if not now:
                quiet += 1
                seen = None
                if quiet > REST:
                    self._rest()
                    quiet = 0
                continue
            quiet = 0
            if now[0] is seen:
                self.depose(lead)
                seen = None
            else:
                seen = now[0]
            del now

    def _rest(self) -> None:
        self.asleep = True
        # The leader fills its slot first and looks at `asleep` then; here it is the other way
        # round, so one of the two sees the other.
        if self.present.slot:
            self.asleep = False
            return
        self._bell.acquire()
