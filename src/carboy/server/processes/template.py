"""Template processes: they have imported the slow packages, and fork workers.

    supervisor ── {"do": "worker"} and two descriptors ──▶ template ── fork ──▶ worker
               ◀── {"pid": 4711} ────────────────────────

A template runs no code of the application and has one thread, so that it can fork at any time.
The first template knows Carboy only. A second one, forked from it, has imported the packages that
the application was seen to use. If those packages start threads, only the first one is used.

What a template forks is a child of the supervisor: its parent ends at once, and the supervisor is
the subreaper of what is below it (prctl(2)). So the supervisor waits for all workers itself, and a
template can end while its workers run.
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
from carboy.server.processes.start_methods import Children, Ended
from carboy.server.signals import named, noted

# Called in a worker with three descriptors: what the supervisor tells it, what it tells the
# supervisor, and shared memory for its requests. Returns the exit code.
Work = Callable[[int, int, int], int]
LONGEST = 1 << 20  # bytes of a message: names of a few thousand modules
HANDLED = named("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")


class TemplateLost(Exception):
    """The first template has ended, so no worker can be forked; the text is for the user."""

    def __init__(self) -> None:
        super().__init__("The process that starts the workers was killed. Start carboy dev again.")


class TemplateProcess:
    """Carries out commands until the supervisor closes the socket.

    Signals have no effect: Ctrl+C goes to every process, and the supervisor decides.
    """

    def __init__(self, commands: socket.socket, work: Work) -> None:
        self.commands = commands
        self.work = work

    def run(self) -> int:
        """Run the rest of the process; returns its exit code."""
        for number in HANDLED:
            signal.signal(number, noted)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        while True:
            try:
                message, fds, _, _ = socket.recv_fds(self.commands, LONGEST, 3)
            except ConnectionResetError:  # a reply was not read, because the supervisor is ending
                return 0
            if not message:
                return 0
            command = json.loads(message)
            self._tell(**getattr(self, f"_do_{command.pop('do')}")(fds, **command))
            for fd in fds:
                os.close(fd)

    def _do_worker(self, fds: list[int]) -> dict[str, int]:
        def work() -> int:
            child.reset_signals(HANDLED)
            self.commands.close()
            importlib.invalidate_caches()  # folders were listed before the last save
            return self.work(*fds)

        return self._fork(work, "Worker")

    def _do_template(self, fds: list[int]) -> dict[str, int]:
        def work() -> int:
            self.commands.close()
            return TemplateProcess(socket.socket(fileno=fds[0]), self.work).run()

        return self._fork(work, "Template process")

    def _do_import(self, fds: list[int], modules: list[str]) -> dict[str, int]:
        preloading.import_all(modules)
        return {"threads": preloading.thread_count()}

    def _fork(self, work: Callable[[], int], what: str) -> dict[str, int]:
        """Fork a process whose parent has ended; its pid, 0 if the system cannot fork."""
        reader, writer = os.pipe()
        with child.blocked(HANDLED):
            between = os.fork()
            if between == 0:
                self._fork_and_end(reader, writer, work, what)
        os.close(writer)
        pid = int(os.read(reader, 20) or b"0")
        os.close(reader)
        os.waitpid(between, 0)
        return {"pid": pid}

    def _fork_and_end(
        self, reader: int, writer: int, work: Callable[[], int], what: str
    ) -> NoReturn:
        try:
            pid = os.fork()
            if pid == 0:
                os.close(reader)
                os.close(writer)
                child.live(work, what)
            os.write(writer, b"%d" % pid)
        finally:
            os._exit(0)

    def _tell(self, **message: int) -> None:
        try:
            self.commands.send(json.dumps(message).encode())
        except OSError:
            pass  # the supervisor has gone; the end of the commands shows this too


class TemplateLink:
    """The supervisor's end of the socket to a template."""

    def __init__(self, sock: socket.socket, pid: int, fit: bool) -> None:
        self.sock = sock
        self.pid = pid  # 0: the process has ended and was reaped
        self.fit = fit  # the process can fork, because it has one thread

    def send(self, command: dict[str, Any], fds: Sequence[int] = ()) -> bool:
        """Send a command. False: the template has ended."""
        try:
            socket.send_fds(self.sock, [json.dumps(command).encode()], fds)
        except OSError:
            return False
        return True

    def receive(self) -> dict[str, int]:
        """The reply to a command; {} if the template has ended."""
        try:
            return json.loads(self.sock.recv(LONGEST) or b"{}")  # type: ignore[no-any-return]
        except OSError:
            return {}

    def ask(self, command: dict[str, Any], fds: Sequence[int] = ()) -> dict[str, int]:
        """Send a command and wait for the reply."""
        return self.receive() if self.send(command, fds) else {}

    def close(self) -> None:
        """End the template, which may be importing."""
        self.sock.close()
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0


class Templates(Children):
    """A start method (start_methods.py): template processes fork the workers.

    Make it before there are threads, which do not survive a fork. OSError where orphans cannot
    become children of this process.
    """

    def __init__(self, work: Work) -> None:
        super().__init__(adopts=True)
        child.become_subreaper()
        self._first = _fork_first(work)
        self._preloaded: TemplateLink | None = None
        self._imports = 0  # replies of the preloaded template that are still to come
        self._known: set[str] = set()  # modules that are preloaded, or were tried
        self._stamps: dict[str, int] = {}

    @property
    def is_preloaded(self) -> bool:
        """Whether the next worker starts with packages imported."""
        template = self._preloaded
        while template and self._imports and select.select([template.sock], [], [], 0)[0]:
            self._imports -= 1
            template.fit = template.receive().get("threads") == 1
        return bool(template and template.fit and not self._imports)

    def start(self, link: WorkerLink, leave: Callable[[], object] | None = None) -> int:
        memory = link.share_requests()
        fds = (link.told, link.tells, memory)
        answer: dict[str, int] = {}
        try:
            if self.is_preloaded and self._preloaded:
                answer = self._preloaded.ask({"do": "worker"}, fds)
            if not answer:
                answer = self._first.ask({"do": "worker"}, fds)
        finally:
            os.close(memory)
        if not answer:
            raise TemplateLost
        if not answer["pid"]:
            raise OSError("The template process cannot fork.")
        return answer["pid"]

    def ended(self, workers: Iterable[int] = ()) -> list[Ended]:
        found = super().ended(workers)
        for template in filter(None, (self._first, self._preloaded)):
            if any(pid == template.pid for pid, _ in found):
                template.pid = 0
                if template is self._first:
                    raise TemplateLost
        return found

    def end(self, workers: Iterable[int] = ()) -> None:
        super().end(workers)
        self.forget()
        self._first.close()

    def preload(self, modules: Sequence[str], stamps: dict[str, int]) -> None:
        """Import these modules in a template, in the background, for the next worker.

        `stamps` are their files and when they were changed (see `preloading.stamps`).
        """
        more = [name for name in modules if name not in self._known]
        if not more:
            return
        self._known.update(more)
        self._stamps |= stamps
        if self._preloaded is None:
            ours, theirs = pair()
            answer = self._first.ask({"do": "template"}, (theirs.fileno(),))
            theirs.close()
            self._preloaded = TemplateLink(ours, answer.get("pid", 0), fit=False)
            self._imports = 0
        self._imports += self._preloaded.send({"do": "import", "modules": more})

    def forget(self) -> None:
        """Forget the preloaded packages: the next worker imports all packages itself."""
        self._known, self._stamps = set(), {}
        if self._preloaded is not None:
            self._preloaded.close()
            self._preloaded = None

    def check(self, folder: Path) -> None:
        """Forget packages that have changed, or that a file of the application's folder hides."""
        if not preloading.is_fresh(self._stamps) or preloading.shadowed(self._known, folder):
            self.forget()


def _fork_first(work: Work) -> TemplateLink:
    ours, theirs = pair()
    with child.blocked(HANDLED):
        pid = os.fork()
        if pid == 0:
            ours.close()
            child.live(TemplateProcess(theirs, work).run, "Template process")
    theirs.close()
    return TemplateLink(ours, pid, fit=True)


def pair() -> tuple[socket.socket, socket.socket]:
    """The two ends between a supervisor and a template."""
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # a message stays in one piece
    for end in pair:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST)
    return pair
