"""The threads of a worker: one leads, the others run requests that wait or would delay it.

This file does not know sockets: the engine defines what leading and running mean.

    leader ──submit──▶ a member runs the exchange ──▶ finished, given back to the leader
    leader inside a handler for too long ──watcher──▶ another member leads,
                                                      the old leader finishes as a member

A leadership is one `Lead`. The exchange that the leader runs itself is in the `slot` of its Lead.

Which thread may touch what:

    phase of the request     thread          may touch
    read, body received      leader          the connection, its machine, the poller
    runs on the leader       leader          the same, the exchange, and all tables of the engine
    waits for a thread       leader          the exchange and its connection, which has no other
                                             thread: it may look for a disconnect and answer 503
    runs in the crew         a member        the exchange; of the connection and its machine what
                                             sends the response, and what reads an unread body
    runs, leader replaced    the old leader  what a member may touch
    set aside (STREAMING)    leader          the exchange and its connection
    answered later (LATER)   any             server/channel.py has a table of its own
    written, drained         leader          the connection, its machine, the poller

For an ASGI application, the thread of the event loop leads instead (server/loop_lead.py).

While a member has a connection, the leader may only `cut` it, set it to be reset on close, and
send what it keeps, with the lock `exchange.sending` (server/streams.py). The heartbeat, signal
handlers and `Engine.in_flight` only read its figures. Every other table (the queue, dispatch times,
deadlines, …) belongs to the leader, or to the thread that replaces it.

Why each hand-over is safe:

    leader to member         The leader writes, then puts the exchange into `_work`, and leaves
                             it alone from then on. SimpleQueue orders the two threads.
    member to leader         The member writes, then appends the exchange to the Runner's
                             `_given_back`, then wakes the leader. The leader clears the waker
                             first and takes from the deque after it, so no wake-up is lost.
    leader to old leader     Leader and watcher both take the exchange out of the slot, and
                             taking from a list is atomic: exactly one gets it. If the leader
                             does, it leads on. If the watcher does, the old leader finds the slot
                             empty, touches only the exchange from then on, and gives it back.
    old leader to new one    Until the watcher has put the new Lead into `_work` no thread leads,
                             so it may touch the leader's tables, and does so last. The old leader
                             may be sending meanwhile: of the connection the watcher writes only
                             `exchange`, `phase` and `since`, which a handler's thread never reads.
    member or watcher to     A member leaves a token in `_idle` before it waits for a task, and a
    a free thread            task is put into `_work` only for a token that was taken or a thread
                             that was started. So no task is in the queue without a thread for it.
    leader to watcher        The leader fills the slot, then reads `asleep`. The watcher sets
    (asleep)                 `asleep`, then reads the slot. One of them sees the other.
    watcher without the      `quick_watch` and `close_watch` read the size of a slot, whose list
    interpreter lock         they keep alive, a count, and the clock of a thread. What they find is
                             looked at again with the lock. They return once `_look_again` is set,
                             which is cleared before `current` is read.

The system may refuse to start a thread (a limit of processes or of memory). Then the leader keeps
the exchange that it wanted to submit, and the watcher leaves the leader as it is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

from carboy.net.threads import NoThread
from carboy.net.timer_slack import set_timer_slack
from carboy.server.connection import RUNNING
from carboy.server.exchange import ServerExchange

log = logging.getLogger("carboy.error")
T = TypeVar("T")

# Seconds after the system refused a thread before another one is asked for, and between two
# warnings about it.
RETRY_AFTER, WARN_EVERY = 1.0, 60.0
# Seconds between two looks; with more, the watcher waits for the end of the crew as well.
OFTEN = 0.05
# What `quick_watch` returns.
NOTHING_FOUND, LEADER_HELD, LEADER_IDLE = range(3)
IDLE_LOOKS = 64  # times the watcher finds the leader idle before it sleeps until it is woken
# After the watcher has replaced a leader, it looks closely for this many looks: a view that waits
# now and then, and is quick otherwise, will wait again. The looks cost about as much as the wait of
# a leader that is found late. So at worst, each of them doubles its cost.
CLOSE_LOOKS = 250
# How many times as often it looks then. With the interpreter lock, it looks as often as the second
# figure says only once a look has found a request: a leader in Python gives the lock up in each of
# its system calls, and a look may take it then.
CLOSER, CLOSEST = 10, 40
# Where functions are compiled, a request that has waited for this part of the interval is found.
# Less would often replace the leader for a view that asks a database on the same machine.
WAITED = 50


# Makes close looks without the interpreter lock, where functions are compiled: `watch_closely` in
# carboy/_speedups/turn.pyx.
CloseWatch = Callable[
    [list[ServerExchange], bytearray, int, float, float, float, int, int], tuple[int, float]
]


class Deposed(BaseException):
    """Another thread leads now, and the exchange that this thread ran has been given back.

    Not an Exception, so that no handler on the way treats it as an error.
    """


class Lead:
    """One leadership: `slot` holds the exchange that its thread runs itself."""

    __slots__ = ("clock", "lost", "one_turn", "slot", "thread")

    def __init__(self) -> None:
        self.slot: list[ServerExchange] = []
        self.thread = 0  # identifier of the thread that leads
        self.clock: int | None = None  # of its processor time; -1: the system has none
        self.one_turn = False  # its thread makes one turn, in which it waits for nothing
        self.lost = False  # another thread has it; set by the thread that had it


class CrewSlots:
    """The attribute that compiled functions read for each request."""

    __slots__ = ("asleep",)


class Crew(CrewSlots):
    """The threads. server/scheduling.py decides what runs where and what waits.

    `lead` leads with the given Lead until deposed or stopped; `run` runs one exchange and gives
    it back. With one thread there is no crew: nothing is submitted, and no leader is deposed.
    """

    def __init__(self, threads: int, interval: float, lead: Callable[[Lead], None]) -> None:
        self.threads = threads
        self.single_threaded = threads == 1
        # The crew has no threads, since everything runs on a loop (server/loop_lead.py).
        self.led_by_loop = False
        self.lead = lead
        self.run: Callable[[ServerExchange], None] = _nothing
        # Called when the crew is full: streamed responses may leave it (server/streams.py).
        self.relieve: Callable[[], None] = lambda: None
        # Called with the exchange that turned out to be slow, and its seconds so far. Its key
        # becomes slow now: before the exchange ends, many more requests of the key may have come,
        # and each of them would hold another leader.
        self.on_deposed: Callable[[ServerExchange, float], object] = _nothing
        self.current = Lead()
        self.away = 0  # exchanges submitted or left with an old leader, not yet given back
        self.running: dict[ServerExchange, None] = {}  # the same exchanges
        self.asleep = False  # the watcher: the leader wakes it after filling the slot
        self._interval = interval
        self._work: SimpleQueue[ServerExchange | Lead | None] = SimpleQueue()
        self._members: list[threading.Thread] = []
        self._idle: list[None] = []  # tokens, see above
        self._refused_at = self._warned_at = -WARN_EVERY
        self._watcher: threading.Thread | None = None
        self._wake = threading.Semaphore(0)  # for the watcher
        self._exact = False  # the watcher waits without the kernel's slack, for its close looks
        self._ended = threading.Lock()  # held until the crew is stopped: the watcher waits for it
        self._ended.acquire()
        self._stopped = False
        # Looks without the interpreter lock, where functions are compiled (server/turn.py). It
        # returns when the first byte of the second one is set: the crew stops, or another leads.
        self.quick_watch: Callable[[list[ServerExchange], bytearray, float, int], int] | None = None
        self.close_watch: CloseWatch | None = None
        self._look_again = bytearray(1)

    # --- life

    def start(self) -> None:
        """Make the first thread lead. Raises NoThread."""
        if not self._claim():
            raise NoThread
        # The watcher first, so that no thread is being started once requests are answered. An
        # exception that another thread raises in this one (PyThreadState_SetAsyncExc) while it
        # starts a thread may end that thread instead, and this one would wait for it endlessly.
        self.start_watcher()
        self._work.put(self.current)

    def start_watcher(self) -> None:
        """Start the watcher unless it runs. If no thread can be started, no leader is deposed."""
        if self.single_threaded or self.led_by_loop:
            return
        if self._watcher is None or not self._watcher.is_alive():
            watcher = threading.Thread(target=self._watch, name="carboy-watcher", daemon=True)
            if self._started(watcher):
                self._watcher = watcher

    def stop(self) -> None:
        """Let idle threads end; one inside a handler ends after it, or with the process."""
        self._stopped = True
        self._look_again[0] = 1
        for _ in range(len(self._members) + 1):  # the watcher may be starting one
            self._work.put(None)
        self._wake.release()
        if self._ended.locked():
            self._ended.release()

    def _member(self) -> None:
        if self._exact:
            set_timer_slack()  # the watcher may have started this thread
        while (task := self._work.get()) is not None:
            if isinstance(task, Lead):
                task.thread = threading.get_ident()
                task.clock = thread_clock(task.thread)
                self.lead(task)
            else:
                self.run(task)
            if self._stopped:
                return
            del task  # a waiting thread must not keep the last request alive

    def leave_token(self) -> None:
        """Called by a member that is about to give its exchange back, and then waits for a task.

        It does so before it gives the exchange back, because the leader may then claim this very
        thread.
        """
        if not self.led_by_loop:
            self._idle.append(None)

    # --- threads

    def _claim(self) -> bool:
        """Claim a thread for one task that the caller will put; returns False if there is none."""
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
        if now < self._refused_at + RETRY_AFTER:
            return False
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:
            self._refused_at = now
            if now > self._warned_at + WARN_EVERY:
                self._warned_at = now
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
        """Run `exchange` on another thread; returns False if there is no thread for it."""
        if not self.submit_uncounted(exchange):
            return False
        self.away += 1
        self.running[exchange] = None
        return True

    def submit_uncounted(self, exchange: ServerExchange) -> bool:
        """Run `exchange` on another thread that is not counted; returns False if there is none."""
        if not self._claim():
            return False
        self._work.put(exchange)
        return True

    def has_only_leader(self) -> bool:
        """Whether the leader's thread is the only one."""
        return len(self._members) < 2

    def release(self, exchange: ServerExchange) -> None:
        """Stop counting `exchange`: it was given back, or is counted by the streams."""
        self.away -= 1
        self.running.pop(exchange, None)

    # --- leadership

    def depose(self, lead: Lead, least: float = 0.0) -> bool:
        """Make another thread leader if `lead` still runs a handler; returns whether it did.

        Called by the watcher, or by a leader that is about to wait. The handler counts as one that
        has run for `least` seconds at least.
        """
        # First the thread, then the slot: without a new leader, no thread would lead.
        if not lead.slot or self.led_by_loop or not self._claim():
            return False
        if not self.take_over(lead, self._work.put, least):
            self._idle.append(None)  # the leader was quicker
            return False
        return True

    def take_over(self, lead: Lead, have_led: Callable[[Lead], object], least: float = 0.0) -> bool:
        """Take `lead` from its thread, which runs a handler, and call `have_led` with another Lead.

        False if the handler has ended: its thread leads on.
        """
        successor = Lead()
        try:
            exchange = lead.slot.pop()
        except IndexError:
            return False
        # No thread leads now, so the leader's tables may be touched. Even if something fails (there
        # may be no memory), a thread has to lead after it.
        try:
            exchange.deposed = True
            connection = exchange.connection
            connection.exchange = exchange
            connection.phase = RUNNING
            connection.since = exchange.began
            self.away += 1
            self.running[exchange] = None
            exchange.leader_thread = lead.thread
            self.on_deposed(exchange, max(least, time.monotonic() - exchange.began))
        except Exception as error:
            log.critical(
                "An error occurred while the leader was replaced. Another thread leads now.",
                exc_info=error,
            )
        finally:
            self.current = successor
            self._look_again[0] = 1
            have_led(successor)
        return True

    def wake_watcher(self) -> None:
        """Have the watcher look again: a leader has filled its slot while the watcher slept."""
        self.asleep = False
        self._wake.release()

    def _watch(self) -> None:
        seen = None
        idle_looks = 0
        close = 0  # close looks that are left
        idle = 0.0  # seconds in which this process has not computed, up to the last look
        while not self._stopped:
            self._look_again[0] = 0
            lead = self.current
            if close and self.close_watch is not None and self._interval <= OFTEN:
                close = self._watch_closely(self.close_watch, lead, close)
                seen = None
                continue
            watch = self.quick_watch if not close and self._interval <= OFTEN else None
            if watch is not None and not self._stopped:
                found = watch(lead.slot, self._look_again, self._interval, IDLE_LOOKS)
                if found == NOTHING_FOUND:
                    continue
                now = lead.slot[-1:]
                if now and time.monotonic() - now[0].began >= self._interval:
                    seen = now[0]  # at the last look, and at the one before
                elif found == LEADER_IDLE:
                    idle_looks = IDLE_LOOKS
            else:
                if self._ended.acquire(timeout=self._pause(close, seen)):
                    return
                lead = self.current
                now = lead.slot[-1:]
            close = max(0, close - 1)
            if self._exact and not close:
                set_timer_slack()
                self._exact = False
            if not now:
                idle_looks += 1
                seen = None
                if idle_looks > IDLE_LOOKS:
                    self._sleep()
                    idle_looks = 0
                continue
            idle_looks = 0
            exchange = now.pop()
            before, idle = idle, time.monotonic() - time.process_time()
            if exchange is seen:
                if self._is_held(exchange, close > 0 and idle - before > self._waiting()):
                    seen = None
                    # Found early, the handler has not returned yet: it counts like the others.
                    if self.depose(lead, self._interval):
                        close = CLOSE_LOOKS
                        if not self._exact and self.close_watch is None:
                            self._exact = set_timer_slack(1)
            else:
                seen = exchange
            del exchange

    def _pause(self, close: int, seen: ServerExchange | None) -> float:
        """Seconds to the next look.

        The request that the last look has found says when it began, and so when it will have held
        the leader for too long. At most two intervals pass until then, however long that look came
        after the one before.
        """
        least = self._interval / CLOSEST
        if close:
            return self._interval / CLOSER if seen is None else least
        if seen is None:
            return 2 * self._interval
        limit = seen.patience or self._interval
        return max(least, seen.began + limit - time.monotonic())

    def _waiting(self) -> float:
        """Seconds without computing, between two close looks, in which the handler has waited.

        In the shortest pause between them, the process is idle for hardly more than that pause, or
        for less if another thread computes. The kernel ends a pause later if there is slack.
        """
        return self._interval / CLOSEST / (2 if self._exact else 1)

    def _is_held(self, exchange: ServerExchange, waits: bool) -> bool:
        """Whether the exchange has held the leader from one look to the next for too long.

        If the process computes, the handler has the whole interval.
        """
        seconds = time.monotonic() - exchange.began
        if exchange.patience:
            return seconds > exchange.patience
        return waits or seconds >= self._interval

    def _watch_closely(self, watch: CloseWatch, lead: Lead, close: int) -> int:
        """Make up to `close` looks without the interpreter lock; returns how many are left."""
        clock, looks, least = lead.clock, close, self._interval / WAITED
        if clock is None:  # the thread has not begun to lead
            clock, looks = -1, 1
        if self._stopped:  # after it has cleared `_look_again`
            return close
        pause = self._interval / CLOSEST
        of_requests = (pause, least, self._interval)
        made, found = watch(lead.slot, self._look_again, clock, *of_requests, looks, IDLE_LOOKS)
        close -= made
        if found < 0.0:
            self._sleep()
        elif found and (now := lead.slot[-1:]):
            exchange, seconds = now[0], time.monotonic()
            # If this thread has waited for the interpreter, the handler may wait for it as well.
            waits = seconds - found < least <= seconds - exchange.began
            # Found early, the handler has not returned yet: it counts like the others.
            if self._is_held(exchange, waits) and self.depose(lead, self._interval):
                return CLOSE_LOOKS
        return close

    def _sleep(self) -> None:
        self.asleep = True
        if self.current.slot:  # the leader has filled the slot without seeing `asleep`
            self.asleep = False
            return
        self._wake.acquire()


def _nothing(*args: object) -> None:
    pass


def thread_clock(thread: int) -> int:
    """The clock of the processor time of a thread that runs; -1 if the system has none."""
    try:
        return time.pthread_getcpuclockid(thread)
    except (AttributeError, OSError):
        return -1


def traced(work: Callable[[T], None], trace: Callable[[], object] | None) -> Callable[[T], None]:
    """`work`, with `trace` called before each call of it; `work` itself without one."""
    if trace is None:
        return work

    def with_trace(argument: T) -> None:
        trace()
        work(argument)

    return with_trace
