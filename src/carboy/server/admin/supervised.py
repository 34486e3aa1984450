"""The admin server of a supervisor, whose loop serves it, and what it can do there."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from carboy.server.admin.listening import AdminSocket, announce, close_all
from carboy.server.admin.operations import About, Served, WorkerFacts
from carboy.server.admin.questions import NEVER
from carboy.server.admin.server import AdminServer
from carboy.server.admin.table import all_paths
from carboy.server.machine import resident
from carboy.server.metrics.statsd import Statsd
from carboy.server.metrics.totals import Totals
from carboy.server.processes import stacks
from carboy.server.processes.generations import Member, State
from carboy.server.processes.messages import Message
from carboy.server.scoreboard import Figure

if TYPE_CHECKING:
    from carboy.server.processes.link import WorkerLink
    from carboy.server.processes.supervisor import Supervisor

log = logging.getLogger("carboy.error")

STATES = {State.STARTING: "starting", State.SERVING: "serving", State.STOPPING: "stopping"}


class SupervisedOperations:
    """The Operations of a supervisor."""

    def __init__(self, supervisor: Supervisor, served: Served, metrics: Totals) -> None:
        self.metrics = metrics
        self._supervisor = supervisor
        self._served = served
        self._started = time.time()
        self.levels: dict[str, str] = {}  # of loggers, as `carboy log-level` has set them

    @property
    def restarts(self) -> Mapping[str, int]:
        return self._supervisor.restarts

    def channels(self) -> Mapping[str, int]:
        relay = self._supervisor.relay
        return {} if relay is None or relay.server is None else relay.server.figures()

    def about(self) -> About:
        generations = self._supervisor.generations
        return self._served.about(
            started=self._started,
            supervised=True,
            target=generations.target,
            stopping=generations.stopping,
            reloading=generations.replacing,
            ever_ready=generations.ever_ready,
            reloads=generations.generation,
            failed_reloads=generations.failed_reloads,
            draining=self._supervisor.drain_delay.active,
        )

    def workers(self) -> list[WorkerFacts]:
        now = time.monotonic()
        members = self._supervisor.generations.members.values()
        links = self._supervisor.links  # without that of a worker that has just ended
        return [self._facts(m, links[m.number], now) for m in members if m.number in links]

    def _facts(self, member: Member, link: WorkerLink, now: float) -> WorkerFacts:
        cells = link.row.cells
        beat = cells[Figure.BEAT]
        return WorkerFacts(
            pid=member.number,
            state=STATES[member.state],
            age=round(now - member.born, 3),
            generation=member.generation,
            connections=int(cells[Figure.CONNECTIONS]),
            busy=int(cells[Figure.BUSY]),
            silent=round(max(0.0, now - beat), 3) if beat else None,
            memory=resident(member.number),
            asked=member.state is not State.STARTING,
            requests=[(line, max(0.0, now - began)) for line, began in link.in_flight.running()],
            last_read=link.in_flight.last_read(),
        )

    def tell(self, worker: int, message: Message) -> None:
        if link := self._supervisor.links.get(worker):
            link.tell(**message)

    def reload(self) -> None:
        self._supervisor.reload()

    def scale(self, count: int) -> None:
        self._supervisor.scale(count)

    def drain(self, worker: int, replace: bool, first: bool) -> None:
        supervisor = self._supervisor
        log.info("Worker %d is drained, as `carboy drain` has asked.", worker)
        if not replace:
            supervisor.generations.target -= 1
        if first:
            supervisor.generations.wear(worker)
        else:
            supervisor.generations.retire(worker, time.monotonic())
            supervisor.start_method.signal(worker, signal.SIGTERM)

    def remember_level(self, logger: str, level: str) -> None:
        self.levels[logger] = level

    def tell_levels(self, worker: int) -> None:
        """Tell a worker that has become ready the levels that were set before."""
        for name, level in self.levels.items():
            self.tell(worker, {"ask": "log-level", "id": 0, "logger": name, "level": level})

    def ask_for_stacks(self, worker: int) -> None:
        stacks.ask(worker)

    def take_stacks(self, worker: int) -> str:
        link = self._supervisor.links.get(worker)
        return "" if link is None else link.take_stacks()


class SupervisorAdmin:
    """The admin server below a supervisor, from `start` to `stop`; none without sockets."""

    def __init__(
        self,
        sockets: Sequence[AdminSocket] = (),
        served: Served | None = None,
        metrics: Totals | None = None,
        statsd: Statsd | None = None,
    ) -> None:
        self.metrics = metrics or Totals()
        self._statsd = statsd
        self._sockets = list(sockets)
        self._served = served or Served()
        self.server: AdminServer | None = None
        self._operations: SupervisedOperations | None = None

    def start(self, supervisor: Supervisor) -> None:
        """Begin to answer."""
        if self._sockets:
            operations = SupervisedOperations(supervisor, self._served, self.metrics)
            self._operations = operations
            self.server = AdminServer(self._sockets, all_paths(), operations)
            announce(self._sockets)

    def turn(self) -> None:
        """Serve what is ready; does not block."""
        if self.server is not None:
            self.server.turn()

    def look(self, now: float) -> float:
        """Act on everything that is overdue; returns when to look next."""
        at = NEVER if self.server is None else self.server.look(now)
        return at if self._statsd is None else min(at, self._statsd.look())

    def answered(self, worker: int, message: Message) -> None:
        """A worker has answered a question."""
        if self.server is not None:
            self.server.questions.answered(worker, message)

    def ready(self, worker: int) -> None:
        """A worker has loaded the application."""
        if self._operations is not None:
            self._operations.tell_levels(worker)

    def reported(self, worker: int, report: Message) -> None:
        """A worker has reported what it has counted."""
        self.metrics.add(worker, report)

    def ended(self, worker: int) -> None:
        """A worker has ended."""
        self.metrics.ended(worker)
        if self.server is not None:
            self.server.questions.ended(worker)

    def leave(self) -> None:
        """Close the descriptors in a worker that was forked from the supervisor."""
        if self._statsd is not None:
            self._statsd.leave()
        if self.server is not None:
            self.server.close()
            self.server = None
            self._sockets = []

    def stop(self) -> None:
        """Close the sockets and remove their files."""
        if self._statsd is not None:
            self._statsd.close()
        if self.server is not None:
            self.server.close()
            self.server = None
        close_all(self._sockets)
        self._sockets = []
