"""Template processes: they have imported what is slow to import, and fork workers.

    Templates ── {"do": "worker", "number": 7} and two descriptors ──▶ template ── fork ──▶ worker 7
              ◀── {"ended": 7, "status": 0} ──────────────────────────

A template runs no code of the application and has one thread, so that it can fork at any time.
The first template knows Carboy only. A second one, forked from it, has imported the packages that
the application was seen to use. If those packages start threads, only the first one is used.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import socket
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from carboy.server.processes import child, preloading
from carboy.server.processes.link import WorkerLink
from carboy.server.processes.start_methods import Ended
from carboy.server.signals import Inbox, named

# Called in a worker with two descriptors: what the supervisor tells it, and what it tells the
# supervisor. Returns the exit code.
Work = Callable[[int, int], int]
LONGEST = 1 << 20  # bytes of a message: names of a few thousand modules
HEARD = named("SIGINT", "SIGTERM", "SIGCHLD", "SIGHUP", "SIGQUIT")


class TemplateLost(Exception):
    """The first template has ended, so no worker can be forked; the text is for the user."""


class TemplateProcess:
    """Carries out commands until `Templates` has closed the socket and the last worker has ended.

    Of signals only SIGCHLD matters: Ctrl+C goes to every process, and the supervisor decides.
    """

    def __init__(self, commands: socket.socket, work: Work) -> None:
        self.commands = commands
        self.work = work
        self._numbers: dict[int, int] = {}  # pid: number of the worker
        self._inbox: Inbox

    def run(self) -> int:
        """The rest of the process; its exit code."""
        self._inbox = Inbox(HEARD)
        with self._inbox:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)
            listening = True
            while listening or self._numbers:
                waited: list[Any] = [self._inbox, *([self.commands] if listening else [])]
                readable, _, _ = select.select(waited, [], [])
                self._inbox.take()
                self._reap()
                if self.commands in readable:
                    listening = self._obey()
        return 0

    def _obey(self) -> bool:
        message, fds, _, _ = socket.recv_fds(self.commands, LONGEST, 2)
        if not message:
            return False
        command = json.loads(message)
        getattr(self, f"_do_{command.pop('do')}")(fds, **command)
        return True

    def _do_worker(self, fds: list[int], number: int) -> None:
        with child.blocked(HEARD):
            pid = os.fork()
            if pid == 0:
                self._become_worker(*fds)
        for fd in fds:
            os.close(fd)
        self._numbers[pid] = number

    def _do_signal(self, fds: list[int], number: int, what: int) -> None:
        for pid, worker in self._numbers.items():
            if worker == number:
                os.kill(pid, what)  # a child that is not reaped yet: the pid is still its own

    def _do_template(self, fds: list[int], modules: list[str]) -> None:
        commands = socket.socket(fileno=fds[0])
        with child.blocked(HEARD):
            pid = os.fork()
            if pid == 0:
                self._become_template(commands, modules)
        commands.close()
        self._numbers[pid] = -1

    def _do_import(self, fds: list[int], modules: list[str]) -> None:
        preloading.import_all(modules)
        self._tell(threads=preloading.thread_count())

    def _become_worker(self, told: int, tells: int) -> NoReturn:
        def work() -> int:
            child.reset_signals(HEARD)
            self._leave()
            importlib.invalidate_caches()  # folders were listed before the last save
            return self.work(told, tells)

        child.live(work)

    def _become_template(self, commands: socket.socket, modules: list[str]) -> NoReturn:
        def work() -> int:
            self._leave()
            second = TemplateProcess(commands, self.work)
            second._do_import([], modules)
            return second.run()

        child.live(work, "Template process")

    def _leave(self) -> None:
        """Close what is the template's, in a process that was forked from it."""
        signal.set_wakeup_fd(-1)
        self.commands.close()
        self._inbox.close()

    def _reap(self) -> None:
        while self._numbers:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self._tell(ended=self._numbers.pop(pid, -1), status=status)

    def _tell(self, **message: Any) -> None:
        try:
            self.commands.send(json.dumps(message).encode())
        except OSError:
            pass  # `Templates` has gone; the end of the commands says so too


class TemplateLink:
    """The supervisor's end of the socket to a template."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.fit = False  # whether it can be asked for workers

    def fileno(self) -> int:
        return self.sock.fileno()

    def send(self, command: dict[str, Any], fds: Sequence[int] = ()) -> bool:
        """Send a command. False: the template has gone."""
        try:
            socket.send_fds(self.sock, [json.dumps(command).encode()], fds)
        except OSError:
            return False
        return True

    def receive(self) -> dict[str, Any] | None:
        """The next message; None when the template has gone."""
        try:
            message = self.sock.recv(LONGEST)
        except OSError:
            return None
        return json.loads(message) if message else None


class Templates:
    """A start method (start_methods.py): template processes fork the workers.

    Make it before there are threads, which do not survive a fork.
    """

    def __init__(self, work: Work) -> None:
        self._first, self._pid = _fork_first(work)
        self._preloaded: TemplateLink | None = None
        self._known: set[str] = set()  # modules that are preloaded, or were tried
        self._stamps: dict[str, int] = {}
        self._old: list[TemplateLink] = []  # templates whose last worker is about to end
        self._link_of: dict[int, TemplateLink] = {}  # whose child a worker is
        self._started = 0

    def links(self) -> list[TemplateLink]:
        if not self._pid:
            return []
        return [self._first, *([self._preloaded] if self._preloaded else []), *self._old]

    @property
    def is_preloaded(self) -> bool:
        """Whether the next worker starts with packages imported."""
        return self._preloaded is not None and self._preloaded.fit

    def start(self, link: WorkerLink, leave: Callable[[], object] | None = None) -> int:
        self._started = number = self._started + 1
        template = self._preloaded if self._preloaded and self._preloaded.fit else self._first
        command = {"do": "worker", "number": number}
        if not template.send(command, (link.told, link.tells)):
            template = self._first
            template.send(command, (link.told, link.tells))
        self._link_of[number] = template
        return number

    def signal(self, worker: int, number: int) -> None:
        if template := self._link_of.get(worker):
            template.send({"do": "signal", "number": worker, "what": int(number)})

    def preload(self, modules: Sequence[str], stamps: dict[str, int]) -> None:
        """Import these modules in a template, in the background, for the next worker.

        `stamps` are their files and when they were changed (see `preloading.stamps`).
        """
        more = [name for name in modules if name not in self._known]
        if not more:
            return
        self._known.update(more)
        self._stamps |= stamps
        if self._preloaded is not None:
            self._preloaded.fit = False  # until it has answered
            self._preloaded.send({"do": "import", "modules": more})
            return
        ours, theirs = _pair()
        self._first.send({"do": "template", "modules": more}, (theirs.fileno(),))
        theirs.close()
        self._preloaded = TemplateLink(ours)

    def forget(self) -> None:
        """Forget what was imported: the next worker imports all packages itself."""
        self._known, self._stamps = set(), {}
        if self._preloaded is not None:
            self._old.append(self._preloaded)
            self._preloaded = None
        self._drop_old()

    def check(self, folder: Path) -> None:
        """Forget packages that have changed, or that a file of the application's folder hides."""
        if not preloading.is_fresh(self._stamps) or preloading.shadowed(self._known, folder):
            self.forget()

    def ended(self, workers: Iterable[int] = ()) -> list[Ended]:
        """Workers of the templates that have ended. Raises TemplateLost."""
        found: list[Ended] = []
        while readable := select.select(self.links(), [], [], 0)[0]:
            found += self._read(readable[0])
        return found

    def _read(self, link: TemplateLink) -> list[Ended]:
        message = link.receive()
        if message is None:
            return self._lost(link)
        if "threads" in message:
            link.fit = message["threads"] == 1
            return []
        number = message["ended"]
        if self._link_of.pop(number, None) is None:
            return []
        self._drop_old()
        return [(number, message["status"])]

    def end(self, workers: Iterable[int] = ()) -> None:
        """Kill these workers, and end the templates."""
        for worker in workers:
            self.signal(worker, signal.SIGKILL)
        if self._pid:
            for link in self.links():
                link.sock.close()
            os.waitpid(self._pid, 0)
            self._pid = 0

    def _lost(self, link: TemplateLink) -> list[Ended]:
        """A template has ended by itself. Nothing more is learned of its workers."""
        if link is self._first:
            raise TemplateLost(
                "The process that starts the others was killed. Start carboy dev again."
            )
        link.sock.close()
        self._old = [each for each in self._old if each is not link]
        if link is self._preloaded:
            self._preloaded = None  # its modules stay known: it would happen again
        ended = [number for number, its in self._link_of.items() if its is link]
        for number in ended:
            del self._link_of[number]
        return [(number, int(signal.SIGKILL)) for number in ended]

    def _drop_old(self) -> None:
        used = set(map(id, self._link_of.values()))
        for link in [each for each in self._old if id(each) not in used]:
            self._old.remove(link)
            link.sock.close()


def _fork_first(work: Work) -> tuple[TemplateLink, int]:
    ours, theirs = _pair()
    with child.blocked(HEARD):
        pid = os.fork()
        if pid == 0:
            ours.close()
            child.live(TemplateProcess(theirs, work).run, "Template process")
    theirs.close()
    link = TemplateLink(ours)
    link.fit = True
    return link, pid


def _pair() -> tuple[socket.socket, socket.socket]:
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # a message stays in one piece
    for end in pair:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST)
    return pair
