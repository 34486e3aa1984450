"""The process above the workers: it holds the sockets, starts workers and sees them end.

    supervisor ── life pipe (its end in the workers reads EOF when the supervisor is gone)
               ◀─ post pipe, one a worker: "ready", or why the application cannot be loaded

It runs no application code and has no other thread, so that it can fork at any time.
"""

from __future__ import annotations

import gc
import logging
import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from carboy.server import child, signals, systemd
from carboy.server.fleet import Do, Fleet, State
from carboy.server.log import ERROR_LOGGER, DirectErrors, ErrorLog
from carboy.server.port import Closure
from carboy.server.scoreboard import Figure, Row, Scoreboard, private_row
from carboy.server.signals import Inbox, Interrupts, Terminal

log = logging.getLogger(ERROR_LOGGER)

READY = b"R"
FAILED = b"F"  # the rest until EOF is the text for the user

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


class Post:
    """What a worker has to say to its supervisor, and how it learns that there is none."""

    def __init__(self, life: int, post: int, row: Row | None = None) -> None:
        self.life = life
        self.post = post
        self.row = row or private_row()  # the worker's own figures, which its supervisor reads

    def ready(self) -> None:
        """From now on this worker takes connections."""
        self._send(READY)

    def failed(self, text: str) -> None:
        """This worker will never take connections; `text` is for the user."""
        self._send(FAILED + text.encode("utf-8", "replace"))

    def _send(self, message: bytes) -> None:
        try:
            while message:
                message = message[os.write(self.post, message) :]
        except OSError:
            pass  # the supervisor has gone; `when_orphaned` sees to that

    def when_orphaned(self, stop: Callable[[], object], timeout: float) -> None:
        """Call `stop` when the supervisor is gone, and end the process `timeout` s later."""

        def wait() -> None:
            while os.read(self.life, 1):
                pass  # nobody writes; only the end can come
            stop()
            time.sleep(timeout)
            os._exit(1)

        threading.Thread(target=wait, name="carboy-life", daemon=True).start()


Work = Callable[[Post], int]


class Supervisor:
    """Keeps `workers` processes running, each of which does `work` and returns its exit code.

    `run` blocks until stopped and returns the exit code: 0, or 1 when no worker could be
    started. `stop` may be called from any thread. In the main thread signals are obeyed:
    SIGTERM and SIGINT stop, a second SIGINT or SIGQUIT ends at once, SIGHUP replaces the
    workers, SIGTTIN and SIGTTOU make them one more and one fewer.
    """

    def __init__(
        self,
        work: Work,
        workers: int,
        graceful_timeout: float = 30.0,
        announce: Callable[[], object] = lambda: None,
        patience: Callable[[], object] = lambda: None,
        sockets: Sequence[socket.socket] = (),
    ) -> None:
        if not hasattr(os, "fork"):
            raise CannotFork()
        self.work = work
        self.graceful_timeout = graceful_timeout
        self.announce = announce
        self.patience = patience  # called when Ctrl+C has not ended everything in a moment
        self.fleet = Fleet(workers, graceful_timeout)
        self._closure = Closure(sockets)
        self._inbox = Inbox(HEARD)
        self._selector = selectors.DefaultSelector()
        self._posts: dict[int, tuple[int, bytearray]] = {}  # pid: its pipe, what it sent
        self._scoreboard = Scoreboard()
        self._rows: dict[int, Row] = {}  # by pid
        self._life = (-1, -1)
        self._interrupts = Interrupts()
        self._announced = False
        self._explain_at = NEVER
        self._terminal = Terminal()
        self._prctl: Callable[..., int] | None = None
        self._errors: ErrorLog
        self._code = 0

    def stop(self, graceful: bool = True) -> None:
        """Stop as SIGTERM does, or at once as SIGQUIT does; returns immediately."""
        self._inbox.post(signal.SIGTERM if graceful else signal.SIGQUIT)

    def run(self) -> int:
        self._life = os.pipe()
        self._scoreboard.open_bells(2 * self.fleet.target + SPARE_BELLS)
        self._errors = ErrorLog(DirectErrors())
        # The kernel sends a parent-death signal when the *thread* that forked ends, and only
        # the main thread lives as long as the process.
        self._prctl = child.find_prctl() if signals.in_main_thread() else None
        with self._inbox:
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
        for do, pid in self.fleet.plan(now):
            self._do(do, pid)
        if self.fleet.stopping and not self.fleet.members:
            return False
        if now >= self._explain_at:
            self._explain_at = NEVER
            self.patience()
        self._wait(now)
        self._reap()
        return True

    def _do(self, do: Do, pid: int) -> None:
        if do is Do.START:
            self._start()
        elif do is Do.STOP:
            _kill(pid, signal.SIGTERM)
        else:
            log.error("Worker %d does not end by itself and is killed.", pid)
            _kill(pid, signal.SIGKILL)

    def _wait(self, now: float) -> None:
        wake_at = self.fleet.wake_at()
        wake_at = min(self._explain_at, NEVER if wake_at is None else wake_at)
        closing = self._closure.look(now)
        if closing is not None:
            wake_at = min(wake_at, now + closing)
        timeout = None if wake_at == NEVER else max(0.0, wake_at - now)
        if not signals.in_main_thread():
            timeout = min(LOOK, LOOK if timeout is None else timeout)
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._inbox:
                for number in self._inbox.take():
                    self._heard(number)
            else:
                self._read_post(key.data)

    # --- signals

    def _heard(self, number: int) -> None:
        if number == signal.SIGINT:
            now = time.monotonic()
            self._interrupts.another(now)
            self._explain_at = min(self._explain_at, now + MOMENT)
        if number == signal.SIGQUIT or self._interrupts.count > 1:
            self._code = 128 + number
            self._end_at_once()
        elif number in signals.STOP or (number == signal.SIGHUP and self._terminal.has_gone()):
            self._stop()
        elif number == signal.SIGHUP:
            log.info("Replacing the workers one by one.")
            systemd.notify_reloading()
            self.fleet.replace()
        elif number in (signal.SIGTTIN, signal.SIGTTOU):
            step = 1 if number == signal.SIGTTIN else -1
            self.fleet.target = max(1, self.fleet.target + step)
            log.info("There are to be %d workers now.", self.fleet.target)

    def _stop(self) -> None:
        if not self.fleet.stopping:
            self._closure.begin(time.monotonic())
            systemd.notify("STOPPING=1")
            self.fleet.stopping = True

    def _end_at_once(self) -> None:
        self.fleet.stopping = True
        for pid in list(self.fleet.members):
            _kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            self._forget(pid)
            del self.fleet.members[pid]

    # --- workers

    def _start(self) -> None:
        reader, writer = os.pipe()
        row = self._free_row()
        # A signal between the fork and the worker's own handlers would be noted in a copy of
        # our inbox that nobody reads; blocked, it waits.
        with child.blocked(HEARD):
            pid = os.fork()
            if pid == 0:
                os.close(reader)
                self._become_worker(writer, row)
        row.cells[Figure.PID] = pid
        os.close(writer)
        self._rows[pid] = row
        self._posts[pid] = (reader, bytearray())
        self._selector.register(reader, selectors.EVENT_READ, pid)
        self.fleet.started(pid, time.monotonic())

    def _free_row(self) -> Row:
        try:
            return self._scoreboard.take()
        except RuntimeError:
            return private_row()  # the worker serves, although others do not see its figures

    def _become_worker(self, post: int, row: Row) -> NoReturn:
        """The rest of the child's life; it must never return into the supervisor's frames."""

        def work() -> int:
            self._leave_supervisor()
            child.reset_signals(HEARD)
            # Besides the life pipe, which needs a thread of the worker to run.
            child.die_with_parent(self._prctl)
            self._errors.close()
            return self.work(Post(self._life[0], post, row))

        child.live(work)

    def _leave_supervisor(self) -> None:
        self._selector.close()
        self._inbox.close()
        os.close(self._life[1])
        for reader, _ in self._posts.values():
            os.close(reader)
        gc.freeze()  # what came from the supervisor stays shared memory

    def _read_post(self, pid: int) -> None:
        reader, received = self._posts[pid]
        octets = os.read(reader, 65536)
        received += octets
        if not octets:
            self._selector.unregister(reader)
        elif received == READY:
            self.fleet.ready(pid)
            self._after_ready()

    def _after_ready(self) -> None:
        serving = sum(m.state is State.SERVING for m in self.fleet.members.values())
        if serving >= self.fleet.target:
            systemd.notify("READY=1")
            if not self._announced:
                self._announced = True
                self.announce()

    def _reap(self) -> None:
        for pid in list(self.fleet.members):
            try:
                ended, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                ended, status = pid, 0  # SIGCHLD is ignored here: the kernel saw to it
            if ended:
                self._ended(pid, status)

    def _ended(self, pid: int, status: int) -> None:
        failure = self._forget(pid)
        member = self.fleet.died(pid, time.monotonic())
        if member.state is State.STOPPING or self.fleet.stopping:
            return
        if member.state is State.SERVING:
            log.error("Worker %d %s; another one takes its place.", pid, signals.death(status))
            return
        self._explain(pid, status, failure)
        if not self.fleet.ever_ready and (failure is not None or self.fleet.hopeless()):
            self._code = 1
            self._stop()
        elif self.fleet.keep():
            log.error("The workers are not replaced: those that are there go on serving.")

    def _explain(self, pid: int, status: int, failure: str | None) -> None:
        if failure is not None:
            log.error("%s", failure.rstrip("\n").removeprefix("Error: "))
        else:
            log.error("Worker %d %s before it was ready.", pid, signals.death(status))

    def _forget(self, pid: int) -> str | None:
        """Close a dead worker's pipe and free its row; why it could not start, if it said so."""
        self._rows.pop(pid).clear()
        reader, received = self._posts.pop(pid)
        if reader in self._selector.get_map():
            os.set_blocking(reader, False)
            try:
                while octets := os.read(reader, 65536):
                    received += octets
            except BlockingIOError:
                pass  # a child of the worker still holds the other end
            self._selector.unregister(reader)
        os.close(reader)
        if not received.startswith(FAILED):
            return None
        return received[len(FAILED) :].decode("utf-8", "replace")


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it was quicker
