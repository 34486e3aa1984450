"""The process above the workers: it holds the sockets, starts workers and sees them end.

    Supervisor   the loop: waits for signals, workers and the clock, and does what is decided
    Generations  decides which workers are started, told to stop and killed (generations.py)
    StartMethod  starts a worker, signals it, learns of its end (start_methods.py)
    WorkerLink   messages from and to a worker (link.py)
    Health       workers that are stuck (health.py)

It runs no application code and has no other thread, so that it can fork at any time.
`carboy run` uses it as it is, `carboy dev` as a DevelopmentSupervisor.
"""

from __future__ import annotations

import gc
import logging
import os
import selectors
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import ClassVar

from carboy.relay.server import RelayServer
from carboy.server import signals, systemd
from carboy.server.admin.server import AdminServer
from carboy.server.admin.supervised import SupervisorAdmin
from carboy.server.listening import ListenerShutdown
from carboy.server.logs.error_log import ERROR_LOGGER, DirectErrorHandler, ErrorLog
from carboy.server.processes.crashes import CrashReports
from carboy.server.processes.drain_delay import DrainDelay
from carboy.server.processes.election import Election
from carboy.server.processes.generations import Do, Generations, Member, State
from carboy.server.processes.health import Health, log_stacks_of
from carboy.server.processes.link import LEAVES, LEFT, READY, WorkerLink
from carboy.server.processes.messages import Message
from carboy.server.processes.relay import SupervisorRelay
from carboy.server.processes.rollout import Rollout, counts
from carboy.server.processes.start_methods import StartMethod
from carboy.server.processes.stuck import Stuck
from carboy.server.processes.wear import Wear
from carboy.server.scoreboard import Figure, Row, Scoreboard, private_row
from carboy.server.signals import Inbox, Interrupts, Terminal
from carboy.server.worker_limits import WorkerLimits

log = logging.getLogger(ERROR_LOGGER)

NEVER = float("inf")
MOMENT = 0.4  # seconds that a stop after Ctrl+C may take before the user gets a message
# Beyond two for each worker (a replacement serves while the old one finishes): those that SIGTTIN
# adds. Each is a descriptor of every worker.
SPARE_WAKERS = 8
LOOK = 1.0  # seconds between checks of the workers in a thread that gets no SIGCHLD


class Supervisor:
    """Keeps as many workers running as `generations` decides.

    `run` blocks until stopped and returns the exit code: 0, or 1 when no worker could be
    started. `stop` may be called from any thread. In the main thread signals are obeyed:
    SIGTERM and SIGINT stop, a second SIGINT or SIGQUIT ends at once, SIGHUP replaces the
    workers, SIGTTIN adds a worker and SIGTTOU removes one, SIGUSR1 has them open their log files
    again, SIGUSR2 logs what they do. With `stay`, signals stay without effect after the end, for a
    process that ends then; otherwise the handlers before are set again.
    """

    HANDLED: ClassVar[tuple[signal.Signals, ...]] = signals.SUPERVISED

    def __init__(
        self,
        start_method: StartMethod,
        generations: Generations,
        health: Health,
        *,
        sockets: Sequence[socket.socket] = (),
        on_ready: Callable[[], object] = lambda: None,
        on_slow_stop: Callable[[int | None], object] = lambda running: None,
        on_replace: Callable[[], object] = lambda: None,
        on_stop: Callable[[], object] = lambda: None,
        stay: bool = False,
        relay: SupervisorRelay | None = None,
        wear: Wear | None = None,
        admin: SupervisorAdmin | None = None,
        rollout: Rollout | None = None,
        drain_delay: float = 0.0,
        crash_reports: CrashReports | None = None,
    ) -> None:
        self.start_method = start_method
        self.generations = generations
        self.health = health
        self._on_ready = on_ready
        self._on_replace = on_replace  # called before the workers are replaced
        self._on_stop = on_stop  # called when a stop begins
        self._on_slow_stop = on_slow_stop  # called when Ctrl+C has not ended everything in a moment
        self._shutdown = ListenerShutdown(sockets)
        self._inbox = Inbox(self.HANDLED, stay)
        self._selector = selectors.DefaultSelector()
        self.links: dict[int, WorkerLink] = {}
        self._scoreboard = Scoreboard()
        self._interrupts = Interrupts()
        self._was_ready = False
        self._slow_stop_at = NEVER
        self._terminal = Terminal()
        self._errors: ErrorLog
        self.relay = relay
        self._rollout = rollout or Rollout(generations)
        self._status = systemd.Status()
        self._crashes: list[Message] = []  # for the next worker that is ready
        self._wear = wear or Wear(WorkerLimits())
        # How many workers were replaced, by reason: crash, stuck, failed_start, told, reload,
        # max_requests, max_lifetime, max_memory, stuck_threads.
        self.restarts: Counter[str] = Counter()
        self._admin = admin or SupervisorAdmin()
        self.drain_delay = DrainDelay(drain_delay)
        self._election = Election()  # of the worker that runs jobs at intervals
        self._crash_reports = crash_reports or CrashReports()
        self._crash_reports.handled = self.HANDLED
        self._code = 0

    def stop(self, graceful: bool = True) -> None:
        """Stop as SIGTERM does, or at once as SIGQUIT does; returns immediately."""
        self._inbox.post(signal.SIGTERM if graceful else signal.SIGQUIT)

    def run(self) -> int:
        self._scoreboard.open_wakers(2 * self.generations.target + SPARE_WAKERS)
        self._errors = ErrorLog(DirectErrorHandler())
        with self._inbox:
            signals.hold(False)
            self._selector.register(self._inbox, selectors.EVENT_READ)
            self._start_servers()
            self._rollout.start(self._selector, self._scoreboard, self._leave, self.health.beat)
            try:
                while self._step():
                    pass
            finally:
                self._end_at_once()
                if self.relay is not None:
                    self.relay.stop()
                self._admin.stop()
                self._crash_reports.stop()
                self._selector.close()
                self._scoreboard.close_wakers()
                self._errors.close()
        return self._code

    def _start_servers(self) -> None:
        """Open the relay of channels, which workers find when they start, and the admin server."""
        if self.relay is not None:
            self.relay.start()
            if self.relay.server is not None:
                self._selector.register(self.relay.server, selectors.EVENT_READ)
        self._admin.start(self)
        if self._admin.server is not None:
            self._selector.register(self._admin.server, selectors.EVENT_READ)

    def _step(self) -> bool:
        """Carry out the decisions and wait for an event; returns False at the end."""
        self._hear_workers()
        now = time.monotonic()
        if self.drain_delay.is_over(now):
            self._stop()
        if not self._rollout.look(self._serving(), now):
            self._code = 1
            self._stop()
        self._look_after_stuck_workers(now)
        worn = self._wear.look(self.generations, self._serving(), now)
        self.restarts.update([worn.reason] if worn else [])
        requests = [counts(link.row)[0] for link in self._serving().values()]
        self._status.look(requests, self.generations.target, now)
        for do, worker in self.generations.plan(now):
            self._do(do, worker)
        self._election.look(self.generations.members.values(), self.links)
        if self.generations.replaced():
            self._replaced()
        if self.generations.stopping and not self.generations.members:
            return False
        if now >= self._slow_stop_at:
            self._slow_stop_at = NEVER
            running = sum(len(c.in_flight.running()) for c in self.links.values())
            self._on_slow_stop(running or None)  # None: the requests of the leaders are not known
        self._wait(now)
        reports = self._crash_reports
        for pid, status in self.start_method.ended([*self.generations.members, *reports.writers]):
            if pid in self.generations.members:
                self._ended(pid, status)
            else:
                reports.written(pid, status)
        return True

    def _hear_workers(self) -> None:
        """Read what workers have said: one that has become ready is not dropped as outdated."""
        for key, _ in self._selector.select(0):
            if isinstance(key.data, int) and key.data in self.links:
                self._read(key.data)

    def _do(self, do: Do, worker: int) -> None:
        if do is Do.START:
            self._start()
        elif do is Do.STOP:
            self.start_method.signal(worker, signal.SIGTERM)
        elif do is Do.GIVE_UP:
            log.error(
                "Worker %d did not become ready within %g s and is killed. If the application"
                " needs more time to load, use a longer --start-timeout.",
                worker, self.generations.start_timeout,
            )  # fmt: skip
            self.health.ask_for_stacks(worker, self.links[worker])
        else:
            if do is Do.KILL:
                log.error("Worker %d does not stop and is killed.", worker)
            self.start_method.signal(worker, signal.SIGKILL)

    def _wait(self, now: float) -> None:
        wake_at = self.generations.wake_at()
        wake_at = min(self._slow_stop_at, NEVER if wake_at is None else wake_at)
        closing = self._shutdown.look(now)
        if closing is not None:
            wake_at = min(wake_at, now + closing)
        if self.relay is not None:
            wake_at = min(wake_at, self.relay.look(now))
        wake_at = min(wake_at, self._admin.look(now), self._wear.wake_at, self._rollout.wake_at())
        wake_at = min(wake_at, self.drain_delay.ends, self._status.wake_at)
        wake_at = min(wake_at, self.health.wake_at(self._serving(), now))
        timeout = None if wake_at == NEVER else max(0.0, wake_at - now)
        if not signals.in_main_thread():
            timeout = min(LOOK, LOOK if timeout is None else timeout)
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._inbox:
                for number in self._inbox.take():
                    self._heard(number)
            elif isinstance(key.fileobj, RelayServer | AdminServer):
                key.fileobj.turn()
            elif isinstance(key.data, int):
                self._read(key.data)
        self.health.woke(time.monotonic())

    # --- stuck workers

    def _serving(self) -> dict[int, WorkerLink]:
        members = self.generations.members.values()
        return {m.number: self.links[m.number] for m in members if m.state is State.SERVING}

    def _look_after_stuck_workers(self, now: float) -> None:
        if not self.generations.stopping:
            for worker, found in self.health.stuck(self._serving(), now):
                self.restarts["stuck"] += 1
                self._crash_reports.stuck(worker, found)
                if found is Stuck.CREW:  # it handles signals; its requests may finish
                    self._do(*self.generations.retire(worker, now))
                else:
                    self.generations.kill_soon(worker, now)
        self.health.feed_watchdog(self._serving(), now, self.generations.stopping)
        self.health.log_stacks(self.links, now)

    # --- signals

    def _heard(self, number: int) -> None:
        if number == signal.SIGINT:
            now = time.monotonic()
            self._interrupts.another(now)
            self._slow_stop_at = min(self._slow_stop_at, now + MOMENT)
            self._pass_on(number)  # the user waits: idle connections are closed
        if number == signal.SIGQUIT or self._interrupts.count > 1:
            self._code = 128 + number
            self._end_at_once()
        elif number == signal.SIGTERM and self._delays_stop():
            pass
        elif number in signals.STOP or (number == signal.SIGHUP and self._terminal.has_gone()):
            self._stop()
        elif number == signal.SIGHUP:
            self.reload()
        elif number in signals.named("SIGUSR1"):
            self._pass_on(number)  # the workers have the log files
        elif number in signals.named("SIGUSR2"):
            for worker, link in self._serving().items():
                self.health.ask_what_it_does(worker, link, self.start_method)
        elif number in signals.named("SIGTTIN", "SIGTTOU"):
            step = 1 if number == signal.SIGTTIN else -1
            self.scale(max(1, self.generations.target + step))

    def scale(self, count: int) -> None:
        """Have so many workers from now on."""
        self.generations.target = count
        log.info("The number of workers is now %d.", count)

    def _pass_on(self, number: int) -> None:
        for worker in self.generations.members:
            self.start_method.signal(worker, number)

    def reload(self) -> None:
        """Replace the workers, which load the application again; nothing if the server stops."""
        if not self.generations.stopping:
            self._replace()

    def _replace(self) -> None:
        again = "Starting over to replace" if self.generations.replacing else "Replacing"
        log.info("%s the workers one by one.", again)
        systemd.notify_reloading()
        self._on_replace()
        self._rollout.reload(time.monotonic())

    def _delays_stop(self) -> bool:
        """Begin the time before a stop in which the server is not ready, if there is one."""
        if self.generations.stopping or not self._was_ready:
            return False
        begun = self.drain_delay.begin(time.monotonic(), announce=True)
        if begun:
            self._scoreboard.end()
        return begun

    def _stop(self) -> None:
        if not self.generations.stopping:
            self._scoreboard.end()
            self._shutdown.begin(time.monotonic())
            self._rollout.stop()
            systemd.notify("STOPPING=1")
            self.generations.stopping = True
            self._on_stop()

    def _end_at_once(self) -> None:
        self.generations.stopping = True
        self.start_method.end(list(self.generations.members))
        for worker in list(self.generations.members):
            self._forget(worker).close()
            del self.generations.members[worker]

    # --- workers

    def _start(self) -> None:
        try:
            link = WorkerLink(self._free_row(), self.health.beat)
            try:
                worker = self.start_method.start(link, self._leave)
            except OSError:
                link.close()
                raise
            finally:
                link.handed_over()
        except OSError as problem:  # no process, memory or descriptor is left
            reason = str(problem.strerror or problem).rstrip(".")
            log.error("No worker can be started: %s.", reason)
            self.generations.not_started(time.monotonic())
            self._after_failure(final=False)
            return
        link.row.cells[Figure.PID] = worker
        self.links[worker] = link
        self._selector.register(link.reader, selectors.EVENT_READ, worker)
        self.generations.started(worker, time.monotonic())
        self._started(worker, link)

    def _started(self, worker: int, link: WorkerLink) -> None:
        pass

    def _free_row(self) -> Row:
        try:
            return self._scoreboard.take()
        except RuntimeError:
            return private_row()  # the worker serves, although others do not see its figures

    def _leave(self) -> None:
        """Close the supervisor's descriptors in a worker that was forked from it."""
        self._selector.close()
        self._inbox.close()
        if self.relay is not None:
            self.relay.leave()
        self._admin.leave()
        for link in self.links.values():
            link.close()
        self._errors.close()
        gc.freeze()  # objects from the supervisor stay in shared memory

    def _read(self, worker: int) -> None:
        link = self.links[worker]
        received = link.read()
        if not received:
            self._selector.unregister(link.reader)
        self._take_messages(worker, link)
        if READY in received:
            self.restarts["reload"] += self.generations.replacing
            self.generations.ready(worker)
            self._admin.ready(worker)
            self._rollout.ready(worker, self._serving(), time.monotonic())
            self._ready(worker)
            self._tell_of_crashes()
        told = LEAVES in received and self.generations.leaves(worker, time.monotonic())
        if told and not self.generations.stopping:
            self._leaves(worker)
        if LEFT in received:
            self._left(worker)

    def _leaves(self, worker: int) -> None:
        self.restarts["told"] += 1
        log.info("Worker %d was told to stop; another one takes its place.", worker)

    def _left(self, worker: int) -> None:
        self.generations.left(worker)

    def _take_messages(self, worker: int, link: WorkerLink) -> None:
        for message in link.take_messages():
            if "answer" in message:
                self._admin.answered(worker, message)
            elif "metrics" in message:
                self._admin.reported(worker, message["metrics"])
            else:
                self._reported(worker, message)

    def _reported(self, worker: int, report: Message) -> None:
        pass

    def _replaced(self) -> None:
        log.info("All workers have been replaced.")
        systemd.notify("READY=1")  # the reload is over
        self._rollout.replaced()

    def _ready(self, worker: int) -> None:
        if len(self._serving()) >= self.generations.target:
            if not self.generations.replacing:
                systemd.notify("READY=1")
            if not self._was_ready:
                self._was_ready = True
                self._status.begin(time.monotonic())
                self._on_ready()

    def _ended(self, worker: int, status: int) -> None:
        now = time.monotonic()
        seen = counts(self.links[worker].row)
        evidence = self._crash_reports.evidence(self.links[worker], now)
        link = self._forget(worker)
        self._take_messages(worker, link)
        member = self.generations.died(worker, now)
        self._rollout.ended(member, seen, now)
        self._status.ended(seen[0])
        requests = link.in_flight.describe()
        link.close()
        self.health.ended(worker, link)
        self._admin.ended(worker)
        asked = member.state is State.STOPPING or self.generations.stopping
        if not asked:
            how = signals.death(os.waitstatus_to_exitcode(status))
            self._failed(member, link, how, requests)
        self._crash_reports.ended(member, status, evidence, link, asked)

    def _failed(self, member: Member, link: WorkerLink, how: str, requests: str) -> None:
        """A worker has ended without being asked to."""
        self.restarts["crash" if member.state is State.SERVING else "failed_start"] += 1
        if member.state is State.SERVING:
            log.error("Worker %d %s; another one takes its place.%s", member.number, how, requests)
            log_stacks_of(member.number, link)
            crash = {"pid": member.number, "how": how, "requests": requests.strip()}
            self._crashes.append(crash)
            self._tell_of_crashes()
            return
        failure = link.failure()
        if failure is not None:
            log.error("%s", failure.rstrip("\n"))
        elif not member.given_up:
            log.error("Worker %d %s before it was ready.", member.number, how)
            log_stacks_of(member.number, link)
        self._after_failure(final=failure is not None)

    def _tell_of_crashes(self) -> None:
        """Tell a worker that serves of crashes of others, for its hook, as soon as there is one."""
        link = next(iter(self._serving().values()), None)
        if link is not None:
            for crash in self._crashes:
                link.tell(crash=crash)
            self._crashes.clear()

    def _after_failure(self, final: bool) -> None:
        """A worker could not start; `final`: another one could not start either."""
        if not self.generations.ever_ready and (final or self.generations.start_failed()):
            self._code = 1
            self._stop()
        elif self.generations.keep():
            log.error("The workers are not replaced. The old ones continue to serve.")
            systemd.notify("READY=1")  # the reload is over
            self._rollout.kept()
        else:
            delay = self.generations.delay()
            log.error(
                "Another worker will be started %s.", f"in {delay:g} s" if delay else "at once"
            )

    def _forget(self, worker: int) -> WorkerLink:
        """Read the last messages of a dead worker, and free its row."""
        link = self.links.pop(worker)
        if link.reader in self._selector.get_map():
            link.read_rest()
            self._selector.unregister(link.reader)
        link.row.clear()
        return link
