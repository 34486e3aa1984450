"""The supervisor of `carboy dev`: one worker that runs the newest code, whatever that code does.

    new code            the old worker is told to stop, a new one starts at the same time
    new code serves     the user is told when the old worker takes no more connections
    code does not load  the worker serves the error as a page
    worker ends         another one takes its place; if it had just started, it serves the reason

The listening sockets stay open in between, so a client waits for the new worker.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

from carboy.server import signals
from carboy.server.admin.supervised import SupervisorAdmin
from carboy.server.dataclass import dataclass
from carboy.server.processes.crashes import CrashReports
from carboy.server.processes.generations import Do, Generations, Member
from carboy.server.processes.health import Health
from carboy.server.processes.link import WorkerLink
from carboy.server.processes.messages import Message
from carboy.server.processes.supervisor import Supervisor
from carboy.server.processes.template import TemplateLost, Templates

QUEUED = 0  # in the inbox, beside the numbers of signals: a call is in the queue
FAULT = re.compile(r"^Current thread .*?(?:\n\n|\Z)", re.MULTILINE | re.DOTALL)
MOST_CALLS = 8  # of the thread that has failed
YOUNG = 1.0  # seconds; a worker that ends this soon after it began to serve would end again


class Reporter(Protocol):
    """Tells the user what happens."""

    def ready(self, first: bool, why: Sequence[str], seconds: float, broken: str) -> None: ...

    def failed(self, text: str) -> None: ...

    def ended(self, text: str) -> None: ...

    def reported(self, report: Message, /) -> object: ...

    def stopped(self) -> None: ...


@dataclass(slots=True)
class Start:
    """One start of a worker, for the user: what changed, and when that was."""

    why: Sequence[str] = ()
    began: float = 0.0  # monotonic seconds; 0: when the worker is started
    is_known: bool = False  # the user has been told of this worker, or that it replaces another one
    failure: str = ""  # error that the worker serves instead of the application
    ready: float = 0.0  # monotonic seconds; 0: not yet
    broken: str = ""  # the reason why the application could not be loaded


class DevelopmentSupervisor(Supervisor):
    """Keeps one worker of the templates running; `run` blocks and returns the exit code.

    `replace` and `tell` may be called from any thread.
    """

    HANDLED = (*signals.STOP, *signals.named("SIGQUIT", "SIGHUP", "SIGCHLD", "SIGUSR1", "SIGUSR2"))

    def __init__(
        self,
        templates: Templates,
        reporter: Reporter,
        folder: Path,
        graceful_timeout: float = 5.0,
        admin: SupervisorAdmin | None = None,
        crash_reports: CrashReports | None = None,
    ) -> None:
        generations = Generations(1, graceful_timeout, overlap=False)
        super().__init__(
            templates, generations, Health(0.0, 0), admin=admin, crash_reports=crash_reports
        )
        self.templates = templates
        self.reporter = reporter
        self.folder = folder
        self._calls: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._next = Start()
        self._newest = 0
        self._starts: dict[int, Start] = {}  # by worker
        self._count = 0  # number of starts, by which browsers distinguish workers
        self._first = True

    def replace(self, why: Sequence[str], forget: bool = False) -> None:
        """Start a worker with the files `why` as they are now. `forget`: nothing preloaded."""
        began = time.monotonic()
        self._call(lambda: self._renew(why, began, forget))

    def tell(self, message: Message) -> None:
        """Pass on a message to the newest worker."""
        self._call(lambda: self._tell_newest(message))

    def _call(self, call: Callable[[], object]) -> None:
        self._calls.put(call)
        self._inbox.post(QUEUED)

    def run(self) -> int:
        try:
            super().run()
        except TemplateLost as problem:
            self.reporter.failed(str(problem))
            self._code = 1
        if self._code != 1:
            self.reporter.stopped()
        return self._code

    # --- what is asked for

    def _heard(self, number: int) -> None:
        if number != QUEUED:
            super()._heard(number)
            return
        while not self._calls.empty():
            self._calls.get()()

    def _replace(self) -> None:
        self._renew((), time.monotonic(), forget=True)

    def _renew(self, why: Sequence[str], began: float, forget: bool) -> None:
        if self.generations.stopping:
            return
        if forget:
            self.templates.forget()
        self.templates.check(self.folder)
        newest = self._starts.get(self._newest)
        if newest is not None and not newest.is_known:
            # The user has not seen its reasons.
            why = sorted({*why, *newest.why})
        self._next = Start(why, began)
        self.generations.replace()

    def _tell_newest(self, message: Message) -> None:
        if link := self.links.get(self._newest):
            link.tell(**message)

    # --- workers

    def _do(self, do: Do, worker: int) -> None:
        if do is Do.STOP:
            self.links[worker].tell(replaced=True)  # streams to browsers end
        super()._do(do, worker)

    def _started(self, worker: int, link: WorkerLink) -> None:
        start, self._next = self._next, Start()
        start.began = start.began or time.monotonic()
        self._starts[worker] = start
        self._newest = worker
        self._count += 1
        link.tell(number=self._count, first=self._first, failure=start.failure)

    def _reported(self, worker: int, report: Message) -> None:
        if "broken" in report:
            self._starts[worker].broken = report["broken"]
        if "modules" in report:
            self.templates.preload(report["modules"], report["stamps"])
            self.reporter.reported(report)

    def _ready(self, worker: int) -> None:
        self._starts[worker].ready = time.monotonic()
        self._tell_of_the_newest()

    def _left(self, worker: int) -> None:
        super()._left(worker)
        self._tell_of_the_newest()

    def _tell_of_the_newest(self) -> None:
        """Tell the user that the newest worker serves, once it gets all new connections."""
        start = self._starts.get(self._newest)
        if start is None or not start.ready or self.generations.stopping:
            return
        if (self._first or not start.is_known) and not self.generations.old_accept():
            first, self._first, start.is_known = self._first, False, True
            seconds = time.monotonic() - start.began
            self.reporter.ready(first, start.why, seconds, start.broken)

    def _leaves(self, worker: int) -> None:
        pass  # most likely, the signal to the group of processes is about to reach this one

    def _replaced(self) -> None:
        pass  # the user was told when it was ready

    def _ended(self, worker: int, status: int) -> None:
        super()._ended(worker, status)
        del self._starts[worker]
        self._tell_of_the_newest()

    def _failed(self, member: Member, link: WorkerLink, how: str, requests: str) -> None:
        failure = link.failure()
        if failure and self._first:
            self.reporter.failed(failure)
            self._code = 1
            self._stop()
            return
        now, start = time.monotonic(), self._starts[member.number]
        text = f"The application's process {how}"
        did = calls_of_the_fault(link.take_stacks())
        self._next = Start(began=now, is_known=True)
        if failure:  # of its lifespan, or of something else that no error page was made for
            self._next.failure = failure
            self.reporter.ended(f"{failure.rstrip()}\nSave a file to start it again.")
        elif start.ready and now - start.ready > YOUNG:
            self.reporter.ended(f"{text}; another one takes its place.{did}")
        else:
            self._next.failure = text + "."
            self.reporter.ended(f"{text}. Save a file to start it again.{did}")


def calls_of_the_fault(stacks: str) -> str:
    """The calls of the thread that has failed, from the stacks of all; "" without them."""
    found = FAULT.search(stacks)
    if found is None:
        return ""
    calls = found[0].rstrip().splitlines()[: 1 + MOST_CALLS]
    return "\n" + "\n".join([*calls, "`carboy crashes 1` shows the stacks of all threads."])
