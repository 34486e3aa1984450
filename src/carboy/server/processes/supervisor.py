"""The process above the workers: it holds the sockets, starts workers and sees them end.

    supervisor ── life pipe (its end in the workers reads EOF when the supervisor is gone)
               ◀─ pipe, one a worker: "ready", or why the application cannot be loaded
               ◀─ shared memory, one a worker: signs of life, the requests that run

It runs no application code and has no other thread, so that it can fork at any time.
"""

from __future__ import annotations

import gc
import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from carboy.server import signals, systemd
from carboy.server.listening import ListenerShutdown
from carboy.server.logs.error_log import ERROR_LOGGER, DirectErrorHandler, ErrorLog
from carboy.server.processes import child, stacks, stuck
from carboy.server.processes.generations import LAST_WORDS, Do, Generations, State
from carboy.server.processes.link import LEAVES, READY, SupervisorLink, WorkerLink
from carboy.server.processes.stuck import Stuck, StuckDetector
from carboy.server.scoreboard import Figure, Row, Scoreboard, private_row
from carboy.server.signals import Inbox, Interrupts, Terminal

log = logging.getLogger(ERROR_LOGGER)

HEARD = (
    *signals.STOP,
    *signals.named("SIGQUIT", "SIGHUP", "SIGTTIN", "SIGTTOU", "SIGCHLD", "SIGUSR1", "SIGUSR2"),
)
NEVER = float("inf")
MOMENT = 0.4  # seconds that a stop may take without a word to who pressed Ctrl+C
# Beyond two for each worker (a replacement serves while the old one finishes): those that SIGTTIN
# adds. Each is a descriptor of every worker.
SPARE_BELLS = 8
LOOK = 1.0  # seconds between looks at the workers where SIGCHLD cannot be had


class CannotFork(RuntimeError):
    """More than one worker was asked for where processes cannot fork."""

    def __init__(self) -> None:
        super().__init__(
            "Worker processes need os.fork, which this system does not have:"
            " use one worker and more threads (--workers 1 --threads 64)."
        )


Work = Callable[[SupervisorLink], int]


class Supervisor:
    """Keeps `workers` processes running, each of which does `work` and returns its exit code.

    `run` blocks until stopped and returns the exit code: 0, or 1 when no worker could be
    started. `stop` may be called from any thread. In the main thread signals are obeyed:
    SIGTERM and SIGINT stop, a second SIGINT or SIGQUIT ends at once, SIGHUP replaces the
    workers, SIGTTIN and SIGTTOU make them one more and one fewer, SIGUSR1 opens their log files
    again, SIGUSR2 logs what they do. With `stay` signals do nothing after the end, instead of what
    they did before: for a process that ends then.

    A worker that is not ready `start_timeout` seconds after its start is ended, and so is one
    that shows no sign of life for `worker_timeout` seconds (0: neither). `threads` is what each
    worker has of them, for the log.
    """

    def __init__(
        self,
        work: Work,
        workers: int,
        graceful_timeout: float = 30.0,
        announce: Callable[[], object] = lambda: None,
        patience: Callable[[int | None], object] = lambda running: None,
        sockets: Sequence[socket.socket] = (),
        *,
        start_timeout: float = 0.0,
        worker_timeout: float = 0.0,
        threads: int = 0,
        stay: bool = False,
    ) -> None:
        if not hasattr(os, "fork"):
            raise CannotFork()
        self.work = work
        self.graceful_timeout = graceful_timeout
        self.announce = announce
        self.patience = patience  # called when Ctrl+C has not ended everything in a moment
        self.generations = Generations(workers, graceful_timeout, start_timeout)
        self.threads = threads
        self.watchdog = systemd.Watchdog()
        self._detector = StuckDetector(worker_timeout)
        # The service manager wants to know how workers are also where stuck ones are not ended.
        self._health = StuckDetector(worker_timeout or self.watchdog.timeout)
        self._closure = ListenerShutdown(sockets)
        self._inbox = Inbox(HEARD, stay)
        self._selector = selectors.DefaultSelector()
        self._links: dict[int, WorkerLink] = {}  # by pid
        self._asked: dict[int, float] = {}  # pid: when the stacks it was asked for are logged
        self._scoreboard = Scoreboard()
        self._life = (-1, -1)
        self._interrupts = Interrupts()
        self._announced = False
        self._explain_at = NEVER
        self._terminal = Terminal()
        self._prctl: Callable[..., int] | None = None
        self._errors: ErrorLog
        self._code = 0
        # With `stay` no other code of this process has children that it waits for itself.
        self._adopts = stay and (os.getpid() == 1 or child.is_subreaper())

    def stop(self, graceful: bool = True) -> None:
        """Stop as SIGTERM does, or at once as SIGQUIT does; returns immediately."""
        self._inbox.post(signal.SIGTERM if graceful else signal.SIGQUIT)

    def run(self) -> int:
        self._life = os.pipe()
        self._scoreboard.open_bells(2 * self.generations.target + SPARE_BELLS)
        self._errors = ErrorLog(DirectErrorHandler())
        # The kernel sends a parent-death signal when the *thread* that forked ends, and only
        # the main thread lives as long as the process.
        self._prctl = child.find_prctl() if signals.in_main_thread() else None
        with self._inbox:
            signals.hold(False)
            self._selector.register(self._inbox, selectors.EVENT_READ)
            try:
                while self._step():
                    pass
            finally:
                self._end_at_once()
                self._selector.close()
                for end in self._life:
                    os.close(end)
                self._scoreboard.close_bells()
                self._errors.close()
        return self._code

    def _step(self) -> bool:
        """Do what is to be done, wait for something to happen; False when all is over."""
        now = time.monotonic()
        self._judge(now)
        self._log_stacks(now)
        for do, pid in self.generations.plan(now):
            self._do(do, pid)
        if self.generations.replaced():
            log.info("All workers have been replaced.")
        if self.generations.stopping and not self.generations.members:
            return False
        if now >= self._explain_at:
            self._explain_at = NEVER
            running = sum(len(c.in_flight.running()) for c in self._links.values())
            self.patience(running or None)  # None: what the leaders run is not known
        self._wait(now)
        self._reap()
        return True

    def _do(self, do: Do, pid: int) -> None:
        if do is Do.START:
            self._start()
        elif do is Do.STOP:
            _kill(pid, signal.SIGTERM)
        elif do is Do.GIVE_UP:
            log.error(
                "Worker %d has not become ready within %g s and is killed. If the application"
                " needs more time to load, use a longer --start-timeout.",
                pid, self.generations.start_timeout,
            )  # fmt: skip
            self._ask_for_stacks(pid)
        else:
            if do is Do.KILL:
                log.error("Worker %d does not end by itself and is killed.", pid)
            _kill(pid, signal.SIGKILL)

    def _wait(self, now: float) -> None:
        wake_at = self.generations.wake_at()
        wake_at = min(self._explain_at, NEVER if wake_at is None else wake_at)
        closing = self._closure.look(now)
        if closing is not None:
            wake_at = min(wake_at, now + closing)
        rows = [self._links[pid].row for pid in self._serving()]
        wake_at = min(wake_at, self._detector.wake_at(rows, now), self.watchdog.wake_at)
        wake_at = min([wake_at, *self._asked.values()])
        timeout = None if wake_at == NEVER else max(0.0, wake_at - now)
        if not signals.in_main_thread():
            timeout = min(LOOK, LOOK if timeout is None else timeout)
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._inbox:
                for number in self._inbox.take():
                    self._heard(number)
            else:
                self._read_link(key.data)
        self._detector.woke(time.monotonic())

    # --- stuck workers

    def _serving(self) -> list[int]:
        return [m.pid for m in self.generations.members.values() if m.state is State.SERVING]

    def _judge(self, now: float) -> None:
        """End workers that are stuck; tell the service manager when one is not."""
        if not self.generations.stopping:
            for pid in self._serving():
                if found := self._detector.judge(self._links[pid].row, now):
                    self._give_up_on(pid, found, now)
        if now >= self.watchdog.wake_at:
            rows = [self._links[pid].row for pid in self._serving()]
            if self.generations.stopping or any(not self._health.judge(row, now) for row in rows):
                self.watchdog.feed()
            self.watchdog.next(now)

    def _give_up_on(self, pid: int, found: Stuck, now: float) -> None:
        why = stuck.REASONS[found]
        if found is Stuck.LOCK and stacks.is_stopped(pid):
            why = stuck.STOPPED
        elif found is Stuck.LEADER and self.threads == 1:
            why = stuck.ONLY_THREAD
        log.error(
            "Worker %d has been stuck for %g s: %s. Another one takes its place.%s",
            pid, self._detector.timeout, why, self._links[pid].in_flight.describe(),
        )  # fmt: skip
        self._ask_for_stacks(pid)
        self._links[pid].row.cells[Figure.SERVING] = 0.0  # others need not wait for it
        if found is Stuck.CREW:  # it still obeys, and requests that get on may finish
            self._do(*self.generations.retire(pid, now))
        else:
            self.generations.condemn(pid, now)

    def _ask_what_it_does(self, pid: int) -> None:
        """Have a worker log its requests and stacks; do it for one that cannot run Python code.

        Not for the others: faulthandler reads the frames of threads that run meanwhile, and that
        has ended a healthy worker with SIGSEGV.
        """
        link = self._links[pid]
        beat = link.row.cells[Figure.BEAT]
        if not beat or time.monotonic() - beat < 2 * stuck.LONGEST_BEAT:
            _kill(pid, signal.SIGUSR2)
            return
        log.warning("Asked by SIGUSR2 about worker %d.%s", pid, link.in_flight.describe())
        self._ask_for_stacks(pid)

    def _ask_for_stacks(self, pid: int) -> None:
        self._asked[pid] = time.monotonic() + LAST_WORDS
        stacks.ask(pid)

    def _log_stacks(self, now: float) -> None:
        for pid, due in list(self._asked.items()):
            if now >= due:
                del self._asked[pid]
                self._log_stacks_of(pid, self._links[pid])

    def _log_stacks_of(self, pid: int, link: WorkerLink) -> None:
        if text := link.take_stacks():
            log.error("What the threads of worker %d did:\n%s", pid, text)

    # --- signals

    def _heard(self, number: int) -> None:
        if number == signal.SIGINT:
            now = time.monotonic()
            self._interrupts.another(now)
            self._explain_at = min(self._explain_at, now + MOMENT)
            for pid in self.generations.members:
                _kill(pid, number)  # somebody waits for the end: idle connections are closed
        if number == signal.SIGQUIT or self._interrupts.count > 1:
            self._code = 128 + number
            self._end_at_once()
        elif number in signals.STOP or (number == signal.SIGHUP and self._terminal.has_gone()):
            self._stop()
        elif number == signal.SIGHUP:
            if not self.generations.stopping:
                again = "Starting over to replace" if self.generations.replacing else "Replacing"
                log.info("%s the workers one by one.", again)
                systemd.notify_reloading()
                self.generations.replace()
        elif number in signals.named("SIGUSR1"):
            for pid in self.generations.members:
                _kill(pid, number)  # the log files are theirs
        elif number in signals.named("SIGUSR2"):
            for pid in self._serving():
                self._ask_what_it_does(pid)
        elif number in (signal.SIGTTIN, signal.SIGTTOU):
            step = 1 if number == signal.SIGTTIN else -1
            self.generations.target = max(1, self.generations.target + step)
            log.info("There are to be %d workers now.", self.generations.target)

    def _stop(self) -> None:
        if not self.generations.stopping:
            self._closure.begin(time.monotonic())
            systemd.notify("STOPPING=1")
            self.generations.stopping = True

    def _end_at_once(self) -> None:
        self.generations.stopping = True
        for pid in list(self.generations.members):
            _kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            self._forget(pid).close()
            del self.generations.members[pid]

    # --- workers

    def _start(self) -> None:
        try:
            pid, link = self._fork()
        except OSError as problem:  # no process, memory or descriptor is left
            log.error("No worker can be started: %s.", problem.strerror or problem)
            self.generations.not_started(time.monotonic())
            self._after_failure(final=False)
            return
        link.row.cells[Figure.PID] = pid
        self._links[pid] = link
        self._selector.register(link.reader, selectors.EVENT_READ, pid)
        self.generations.started(pid, time.monotonic())

    def _fork(self) -> tuple[int, WorkerLink]:
        link = WorkerLink(self._free_row(), stuck.beat_interval(self._health.timeout))
        try:
            # A signal between the fork and the worker's own handlers would be noted in a copy
            # of our inbox that nobody reads; blocked, it waits.
            with child.blocked(HEARD):
                pid = os.fork()
                if pid == 0:
                    self._become_worker(link)
        except OSError:
            link.close()
            raise
        finally:
            link.forked()
        return pid, link

    def _free_row(self) -> Row:
        try:
            return self._scoreboard.take()
        except RuntimeError:
            return private_row()  # the worker serves, although others do not see its figures

    def _become_worker(self, link: WorkerLink) -> NoReturn:
        """The rest of the child's life; it must never return into the supervisor's frames."""

        def work() -> int:
            self._leave_supervisor()
            child.reset_signals(HEARD)
            # Besides the life pipe, which needs a thread of the worker to run.
            child.die_with_parent(self._prctl)
            self._errors.close()
            end = link.worker_end(self._life[0])
            stacks.write_to(end.pipe)
            return self.work(end)

        child.live(work)

    def _leave_supervisor(self) -> None:
        self._selector.close()
        self._inbox.close()
        os.close(self._life[1])
        for link in self._links.values():
            link.close()
        gc.freeze()  # what came from the supervisor stays shared memory

    def _read_link(self, pid: int) -> None:
        link = self._links[pid]
        received = link.read()
        if not received:
            self._selector.unregister(link.reader)
        if READY in received:
            self.generations.ready(pid)
            self._after_ready()
        told = LEAVES in received and self.generations.leaves(pid, time.monotonic())
        if told and not self.generations.stopping:
            log.info("Worker %d was told to stop; another one takes its place.", pid)

    def _after_ready(self) -> None:
        serving = sum(m.state is State.SERVING for m in self.generations.members.values())
        if serving >= self.generations.target:
            systemd.notify("READY=1")
            if not self._announced:
                self._announced = True
                self.announce()

    def _reap(self) -> None:
        for pid in list(self.generations.members):
            try:
                ended, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                ended, status = pid, 0  # SIGCHLD is ignored here: the kernel saw to it
            if ended:
                self._ended(pid, status)
        if self._adopts:
            self._reap_orphans()

    def _reap_orphans(self) -> None:
        """Processes whose parents have ended are given to process 1: nobody else waits for them."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid in self.generations.members:
                self._ended(pid, status)

    def _ended(self, pid: int, status: int) -> None:
        link = self._forget(pid)
        member = self.generations.died(pid, time.monotonic())
        requests = link.in_flight.describe()
        link.close()
        if self._asked.pop(pid, None):
            self._log_stacks_of(pid, link)
        if member.state is State.STOPPING or self.generations.stopping:
            return
        how = signals.death(os.waitstatus_to_exitcode(status))
        if member.state is State.SERVING:
            log.error("Worker %d %s; another one takes its place.%s", pid, how, requests)
            self._log_stacks_of(pid, link)
            return
        failure = link.failure()
        if not member.given_up:
            self._explain(pid, how, link)
        self._after_failure(final=failure is not None)

    def _after_failure(self, final: bool) -> None:
        """A worker could not start; `final`: the next one could not either."""
        if not self.generations.ever_ready and (final or self.generations.hopeless()):
            self._code = 1
            self._stop()
        elif self.generations.keep():
            log.error("The workers are not replaced: those that are there go on serving.")
            systemd.notify("READY=1")  # the reload is over
        else:
            log.error("Another worker is started %s.", _in_seconds(self.generations.delay()))

    def _explain(self, pid: int, how: str, link: WorkerLink) -> None:
        failure = link.failure()
        if failure is not None:
            log.error("%s", failure.rstrip("\n").removeprefix("Error: "))
            return
        log.error("Worker %d %s before it was ready.", pid, how)
        self._log_stacks_of(pid, link)

    def _forget(self, pid: int) -> WorkerLink:
        """Read what a dead worker has still said, and free its row."""
        link = self._links.pop(pid)
        if link.reader in self._selector.get_map():
            link.read_rest()
            self._selector.unregister(link.reader)
        link.row.clear()
        return link


def _in_seconds(delay: float) -> str:
    return f"in {delay:g} s" if delay else "at once"


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it was quicker
