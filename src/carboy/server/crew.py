"""The threads of a worker: one leads, the others run what waits or would make others wait.

Knows no sockets: what leading and running mean it is told.

    leader ──submit──▶ a member runs the exchange ──▶ done, given back to the leader
    leader inside a handler for too long ──watcher──▶ another member leads,
                                                      the old leader finishes as a member

A leadership is one `Lead`. The exchange that the leader runs itself lies in its `slot`; who
takes it out, the leader after the handler or the watcher before, decides who leads on. Taking
from a list is atomic, so the leader's path needs no lock.

A task is put into the queue only for a thread that has been claimed for it, so nothing is ever
in the queue that no thread will take:

    thread            a member leaves a token in `_idle` when it is about to wait for a task
    leader, watcher   takes a token, or starts a thread, and only then puts the task

The system may refuse to start a thread (a limit of processes or of memory). Whoever wanted one
then keeps what it has: the leader its exchange, the watcher the leader that there is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from carboy.server.connection import RUNNING
from carboy.server.exchange import ServerExchange

log = logging.getLogger("carboy.error")

# Seconds after the system refused a thread before another one is asked for, and between two
# warnings about it.
AGAIN, COMPLAIN = 1.0, 60.0
REST = 64  # looks of the watcher at an idle leader before it sleeps until rung


class Lead:
    """One leadership: `slot` holds the exchange its thread runs itself."""

    __slots__ = ("slot", "thread")

    def __init__(self) -> None:
        self.slot: list[ServerExchange] = []
        self.thread = 0  # that leads


class Crew:
    """The threads; who runs where, and what waits, is decided in server/scheduling.py.

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
        # Called when the crew is full: what may be counted apart leaves it (server/streams.py).
        self.relieve: Callable[[], None] = lambda: None
        self._work: SimpleQueue[ServerExchange | Lead | None] = SimpleQueue()
        self._members: list[threading.Thread] = []
        self._idle: list[None] = []  # tokens, see above
        self._refused_at = self._complained_at = -COMPLAIN
        self._watcher: threading.Thread | None = None
        self._stopped = False
        # Told the exchange and the seconds so far of what the watcher found to be slow: by its
        # end many more of its kind may have come, each of which would cost another leader.
        self.deposed: Callable[[ServerExchange, float], object] = lambda exchange, seconds: None
        self.away = 0  # exchanges submitted or left with a deposed leader, not yet given back
        self.running: dict[ServerExchange, None] = {}  # those
        self.present = Lead()
        self.asleep = False  # the watcher: whoever fills the slot has to ring
        self._bell = threading.Semaphore(0)

    # --- life

    def start(self) -> None:
        """Make the first thread lead. Raises RuntimeError when the system gives none."""
        if not self._claim():
            raise RuntimeError(
                "No thread can be started to serve requests."
                " Raise the limit of processes or memory."
            )
        # The first thread leads last: once a request is answered nothing is being started. An
        # exception that another thread raises in this one (PyThreadState_SetAsyncExc) while it
        # starts a thread may end that thread instead, and this one would wait for it for ever.
        self.start_watcher()
        self._work.put(self.present)

    def start_watcher(self) -> None:
        """Start the watcher unless there is one; without a thread for it nobody is deposed."""
        if not self.alone and (self._watcher is None or not self._watcher.is_alive()):
            watcher = threading.Thread(target=self._watch, name="carboy-watcher", daemon=True)
            if self._started(watcher):
                self._watcher = watcher

    def stop(self) -> None:
        """Let idle threads end; one inside a handler ends after it, or with the process."""
        self._stopped = True
        for _ in range(len(self._members) + 1):  # the watcher may be starting one
            self._work.put(None)
        self._bell.release()

    def _member(self) -> None:
        while (task := self._work.get()) is not None:
            if isinstance(task, Lead):
                task.thread = threading.get_ident()
                self._lead(task)
            else:
                self._run(task)
            if self._stopped:
                return
            del task  # a waiting thread must not keep the last request alive

    def leave_token(self) -> None:
        """Called by a member that is about to give its exchange back, as the last thing it does.

        Before the exchange: the leader that takes it back may claim this very thread.
        """
        self._idle.append(None)

    # --- threads

    def _claim(self) -> bool:
        """Have a thread for one task that the caller is going to put; False when there is none."""
        try:
            self._idle.pop()
        except IndexError:
            return self._start_member()
        return True

    def _start_member(self) -> bool:
        name = f"carboy-{len(self._members) + 1}"
        # Daemon: a handler that never returns must not keep the process from ending.
        thread = threading.Thread(target=self._member, name=name, daemon=True)
        if not self._started(thread):
            return False
        self._members.append(thread)
        return True

    def _started(self, thread: threading.Thread) -> bool:
        now = time.monotonic()
        if now < self._refused_at + AGAIN:
            return False
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:
            self._refused_at = now
            if now > self._complained_at + COMPLAIN:
                self._complained_at = now
                log.warning(
                    "No further thread can be started: %s. Requests wait for the %d there are."
                    " Raise the limit of processes or memory, or lower --threads.",
                    str(error) or "out of memory",
                    len(self._members),
                )
            return False
        return True

    # --- only for the leader

    def submit(self, exchange: ServerExchange) -> bool:
        """Run `exchange` on another thread; False when there is none and none can be started."""
        if not self.submit_apart(exchange):
            return False
        self.away += 1
        self.running[exchange] = None
        return True

    def submit_apart(self, exchange: ServerExchange) -> bool:
        """Run `exchange` on another thread that does not count; False when there is none."""
        if not self._claim():
            return False
        self._work.put(exchange)
        return True

    def is_alone(self) -> bool:
        """Whether there is only the leader's thread, and no other one to wait for."""
        return len(self._members) < 2

    def given_back(self, exchange: ServerExchange) -> None:
        """One exchange is done, or not counted any more."""
        self.away -= 1
        self.running.pop(exchange, None)

    # --- leadership

    def depose(self, lead: Lead) -> bool:
        """Make another thread leader if `lead` still runs a handler; whether it did."""
        # First the thread, then the slot: without a new leader nobody would ever lead again.
        if not lead.slot or not self._claim():
            return False
        successor = Lead()
        try:
            exchange = lead.slot.pop()
        except IndexError:
            self._idle.append(None)  # the leader was quicker
            return False
        # Nobody leads at this moment, so what is the leader's may be touched; and whatever goes
        # wrong (there may be no memory), somebody has to lead after it.
        try:
            exchange.deposed = True
            exchange.connection.exchange = exchange
            exchange.connection.enter(RUNNING, exchange.began)
            self.away += 1
            self.running[exchange] = None
            exchange.thread = lead.thread
            self.deposed(exchange, time.monotonic() - exchange.began)
        except Exception as error:
            log.critical("A leader could not be replaced in order.", exc_info=error)
        finally:
            self.present = successor
            self._work.put(successor)
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
                patience = now[0].patience
                if not patience or time.monotonic() - now[0].began > patience:
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
