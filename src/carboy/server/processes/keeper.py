"""One worker that runs the newest code: replaced when that has changed, and nobody refused.

    keeper ── a JSON object a line: {"number": 3, …} first, then what is published ──▶ worker
           ◀─ {"ready": true}, {"failed": "why"}, {"modules": …, "folders": …} ───────

The listening sockets stay open in between, so that a client waits for the new worker instead.
"""

from __future__ import annotations

import json
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from carboy.server import signals
from carboy.server.processes.generations import MERCY
from carboy.server.processes.link import SupervisorLink
from carboy.server.processes.template import TemplateLost, Templates
from carboy.server.signals import Inbox, Interrupts, Terminal

HEARD = (*signals.STOP, *signals.named("SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2"))
QUEUED = 0  # in the inbox, where signals have their numbers: somebody has asked for something
YOUNG = 1.0  # a worker that ends within so many seconds of serving would end again


class KeeperLink(SupervisorLink):
    """How a worker talks with the keeper; `listen` gets what is published.

    `report` is asked now and then what the keeper should know, and sent if it has changed.
    """

    LOOK = 1.0  # seconds between two questions for a report

    def __init__(
        self,
        told: int,
        tells: int,
        listen: Callable[[dict[str, Any]], object],
        report: Callable[[], dict[str, Any] | None],
    ) -> None:
        super().__init__(told, tells)
        self.listen = listen
        self.report = report
        self._received = b""
        self._serving = threading.Event()
        self.broken = ""  # why an error is served instead of the application
        self.order: dict[str, Any] = self._next() or {}

    def ready(self) -> None:
        self._report()  # before anything is served that may change
        self._say(ready=True, broken=self.broken)
        self._serving.set()

    def leaves(self) -> None:
        pass  # it was the keeper who told it

    def failed(self, text: str) -> None:
        self._say(failed=text)

    def _say(self, **message: Any) -> None:
        self._send(json.dumps(message).encode() + b"\n")

    def when_orphaned(self, stop: Callable[[], object], timeout: float) -> None:
        """Also hears what is published, and reports."""

        def attend() -> None:
            self._serving.wait()
            while (message := self._next(self.LOOK)) is not None:
                if message:
                    self.listen(message)
                else:
                    self._report()
            stop()
            time.sleep(timeout)
            os._exit(1)

        threading.Thread(target=attend, name="carboy-keeper", daemon=True).start()

    def _report(self) -> None:
        if report := self.report():
            self._say(**report)

    def _next(self, timeout: float | None = None) -> dict[str, Any] | None:
        """The next message; {} when none came in time, None when the keeper has gone."""
        while b"\n" not in self._received:
            if timeout is not None and not select.select([self.life], [], [], timeout)[0]:
                return {}
            octets = os.read(self.life, 65536)
            if not octets:
                return None
            self._received += octets
        line, _, self._received = self._received.partition(b"\n")
        try:
            found: dict[str, Any] = json.loads(line)
        except ValueError:
            return {}  # half of one that the pipe was too full for
        return found


class Told(Protocol):
    """Who tells the user."""

    def ready(self, first: bool, why: Sequence[str], seconds: float, broken: str) -> None: ...

    def failed(self, text: str) -> None: ...

    def ended(self, text: str) -> None: ...

    def reported(self, report: dict[str, Any], /) -> object: ...

    def stopped(self) -> None: ...


@dataclass(slots=True)
class Member:
    """A worker as the keeper knows it."""

    number: int
    told: int
    tells: int
    why: Sequence[str]
    began: float
    known: bool  # the user has been told that it takes another one's place
    ready: float = 0.0  # monotonic seconds; 0: not yet
    kill_at: float = 0.0  # 0: it is not to end
    received: bytearray = field(default_factory=bytearray)


class Keeper:
    """Keeps one worker of the templates running; `run` blocks until stopped, and gives the code.

    `replace` and `tell` may be called from any thread.
    """

    def __init__(
        self, templates: Templates, teller: Told, folder: Path, graceful_timeout: float = 5.0
    ) -> None:
        self.templates = templates
        self.teller = teller
        self.folder = folder
        self.graceful_timeout = graceful_timeout
        self._inbox = Inbox(HEARD)
        self._asked: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self._members: dict[int, Member] = {}
        self._current: Member | None = None
        self._interrupts = Interrupts()
        self._terminal = Terminal()
        self._numbers = 0
        self._ever_ready = False
        self._stopping = False
        self._code = 0

    def replace(self, why: Sequence[str], cool: bool = False) -> None:
        """Start a worker that has `why` (paths) as they are now; with nothing warm if `cool`."""
        self._ask("replace", (why, cool))

    def tell(self, message: dict[str, Any]) -> None:
        """Pass on something to the worker that serves."""
        self._ask("tell", message)

    def stop(self) -> None:
        """As SIGTERM does."""
        self._inbox.post(signal.SIGTERM)

    def _ask(self, what: str, of: Any) -> None:
        self._asked.put((what, of))
        self._inbox.post(QUEUED)

    def run(self) -> int:
        with self._inbox:
            self._begin((), time.monotonic())
            try:
                while self._members:
                    self._step()
            except TemplateLost as problem:
                self.teller.failed(str(problem))
                self._code = 1
            finally:
                for member in self._members.values():
                    self.templates.signal(member.number, signal.SIGKILL)
                self.templates.close()
        if not self._code:
            self.teller.stopped()
        return self._code

    def _step(self) -> None:
        by_fd = {member.tells: member for member in self._members.values() if member.tells >= 0}
        links = self.templates.links
        waited: list[Any] = [self._inbox, *links, *by_fd]
        readable, _, _ = select.select(waited, [], [], self._patience())
        for each in readable:
            if isinstance(each, int):
                self._read(by_fd[each])
        for link in links:
            if link in readable:
                for number, status in self.templates.hear(link):
                    self._ended(number, status)
        if self._inbox in readable:
            for number in self._inbox.take():
                self._heard(number)
        self._kill_late(time.monotonic())

    def _patience(self) -> float | None:
        times = [member.kill_at for member in self._members.values() if member.kill_at]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _kill_late(self, now: float) -> None:
        for member in self._members.values():
            if member.kill_at and now >= member.kill_at:
                member.kill_at = now + MERCY
                self.templates.signal(member.number, signal.SIGKILL)

    # --- what is asked for

    def _heard(self, number: int) -> None:
        if number == QUEUED:
            while not self._asked.empty():
                what, of = self._asked.get()
                if what == "tell":
                    self._publish(of)
                else:
                    self._renew(*of)
        elif number == signal.SIGQUIT:
            self._stop(at_once=True)
        elif number == signal.SIGINT:
            self._stop(at_once=self._interrupts.another(time.monotonic()) > 1)
        elif number in signals.named("SIGUSR1", "SIGUSR2"):
            for member in self._members.values():
                self.templates.signal(member.number, number)
        elif number == signal.SIGTERM or self._terminal.has_gone():
            self._stop()
        else:
            self._renew((), cool=True)

    def _stop(self, at_once: bool = False) -> None:
        self._stopping = True
        for member in self._members.values():
            self._retire(member, at_once)

    def _renew(self, why: Sequence[str], cool: bool) -> None:
        if self._stopping:
            return
        began = time.monotonic()
        if cool:
            self.templates.forget()
        self.templates.check(self.folder)
        if self._current is not None:
            loads = not self._current.ready
            # One that still loads has nothing to finish; and must not write byte code now. Why it
            # was started is a reason for the next: nobody has been told of it.
            self._retire(self._current, at_once=loads)
            why = sorted({*why, *self._current.why}) if loads else why
        self._begin(why, began)

    def _publish(self, message: dict[str, Any]) -> None:
        if self._current is not None:
            _write(self._current.told, message)

    # --- workers

    def _begin(
        self, why: Sequence[str], began: float, known: bool = False, failure: str | None = None
    ) -> None:
        told, our_told = os.pipe()
        our_tells, tells = os.pipe()
        # A worker that does not listen must not stop us; what it misses is only published.
        os.set_blocking(our_told, False)
        self._numbers += 1
        member = Member(self._numbers, our_told, our_tells, why, began, known)
        order = {"number": member.number, "first": not self._ever_ready, "failure": failure}
        _write(our_told, order)
        self.templates.start(member.number, told, tells)
        self._members[member.number] = self._current = member

    def _retire(self, member: Member, at_once: bool = False) -> None:
        now = time.monotonic()
        if not at_once and not member.kill_at:
            _write(member.told, {"replaced": True})
        # At the time-out it ends by itself, and logs what ran until then.
        late = now + self.graceful_timeout + MERCY
        member.kill_at = min(member.kill_at or late, late)
        self.templates.signal(member.number, signal.SIGKILL if at_once else signal.SIGTERM)

    def _read(self, member: Member) -> None:
        octets = os.read(member.tells, 65536)
        if not octets:
            os.close(member.tells)
            member.tells = -1
        member.received += octets
        while (end := member.received.find(b"\n")) >= 0:
            message = json.loads(member.received[:end])
            del member.received[: end + 1]
            self._told(member, message)

    def _told(self, member: Member, message: dict[str, Any]) -> None:
        if "ready" in message:
            member.ready = time.monotonic()
            first, self._ever_ready = not self._ever_ready, True
            if member is self._current and (first or not member.known):
                seconds = member.ready - member.began
                self.teller.ready(first, member.why, seconds, message["broken"])
        elif "failed" in message:
            self.teller.failed(message["failed"])
            self._code = 1
            self._stop()
        else:
            if "modules" in message:
                self.templates.preload(message["modules"], message["stamps"])
            self.teller.reported(message)

    def _ended(self, number: int, status: int) -> None:
        member = self._members.pop(number)
        # Not until the end: a program that the worker has started may hold the other one.
        while member.tells >= 0 and select.select([member.tells], [], [], 0)[0]:
            self._read(member)
        for fd in {member.told, member.tells} - {-1}:
            os.close(fd)
        if member is not self._current:
            return
        self._current = None
        if self._stopping:
            return
        text = f"The application's process {signals.death(os.waitstatus_to_exitcode(status))}"
        now = time.monotonic()
        if member.ready and now - member.ready > YOUNG:
            self.teller.ended(f"{text}; another one takes its place.")
            self._begin((), now, known=True)
        else:
            self.teller.ended(f"{text}. Save a file to start it again.")
            self._begin((), now, known=True, failure=text + ".")


def _write(fd: int, message: dict[str, Any]) -> None:
    try:
        os.write(fd, json.dumps(message).encode() + b"\n")
    except OSError:
        pass  # it has gone, or its pipe is full of what it does not read
