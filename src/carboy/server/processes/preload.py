"""--preload: the supervisor's side of the template process that has loaded the application.

application_template.py has the other side. The supervisor has imported Carboy only, so a new
template loads new code. What a template forks is a child of the supervisor, as in template.py, so a
template can end while its workers run.

A reload loads the application in a new template first. The old one, and then the workers, are
replaced when that has succeeded, so the code of a failed reload changes nothing.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterable
from typing import NoReturn

from carboy.server import signals
from carboy.server.dataclass import dataclass
from carboy.server.logs.error_log import ERROR_LOGGER
from carboy.server.processes import child, stacks
from carboy.server.processes.application_template import LONGEST, ApplicationTemplate, Preloads
from carboy.server.processes.generations import STACKS_DELAY
from carboy.server.processes.link import READY, WorkerLink
from carboy.server.processes.purpose import Purpose
from carboy.server.processes.start_methods import Children, Ended
from carboy.server.processes.template import pair
from carboy.server.scoreboard import Scoreboard

log = logging.getLogger(ERROR_LOGGER)

ANSWER = 10.0  # seconds in which a template has to answer, hooks of the application included
FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0  # seconds before a lost template is started again, doubled
NEVER = float("inf")


class TemplateEnd:
    """The supervisor's view of one template."""

    def __init__(self, pid: int, link: WorkerLink, commands: socket.socket, born: float) -> None:
        self.pid = pid
        self.link = link
        self.commands = commands
        self.born = born
        self.kill_at = NEVER  # it takes too long to load the application
        self.at_end = False  # it has closed its end of the link
        self.status: int | None = None  # as of os.waitpid, when it has ended
        self._loaded = False

    def hear(self) -> bool:
        """Read what the template has said; whether it has loaded the application."""
        while not self.at_end:
            try:
                received = self.link.read()
            except BlockingIOError:
                break
            self.at_end = not received
            self._loaded |= READY in received
        return self._loaded

    def give_up(self, now: float) -> None:
        """Ask a template that takes too long for its stacks, and then kill it."""
        if self.kill_at == NEVER:
            stacks.ask(self.pid)
            self.kill_at = now + STACKS_DELAY
        elif now >= self.kill_at:
            os.kill(self.pid, signal.SIGKILL)

    def why(self, timeout: float) -> str:
        """The reason why the application was not loaded."""
        failure = self.link.failure()
        if failure is not None:
            return failure.rstrip("\n")
        if self.kill_at != NEVER:
            why = (
                f"The application was not loaded within {timeout:g} s. If it needs more time, use a"
                " longer --start-timeout."
            )
        else:
            how = signals.death(os.waitstatus_to_exitcode(self.status or 0))
            why = f"The template process {self.pid} {how} while it loaded the application."
        written = self.link.take_stacks()
        return f"{why}\nStacks of its threads:\n{written}" if written else why

    def close(self) -> None:
        """End the process, which has no work but to fork."""
        self.commands.close()
        if self.status is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        self.link.close()

    def leave(self) -> None:
        """Close the descriptors in a process that was forked from the supervisor."""
        self.commands.close()
        self.link.close()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of an attempt to load the application; `why` is "" if it has succeeded."""

    purpose: Purpose
    why: str = ""


class Preload(Children):
    """A start method (start_methods.py): a template that has loaded the application forks workers.

    `attach` is called when the supervisor begins to run. OSError where orphans cannot become
    children of this process.
    """

    def __init__(
        self, worker: Preloads, start_timeout: float, handled: Iterable[signal.Signals]
    ) -> None:
        super().__init__(adopts=True)
        child.become_subreaper()
        self._worker = worker
        self._timeout = start_timeout
        self._handled = tuple(handled)
        self._loading: TemplateEnd | None = None
        self._current: TemplateEnd | None = None
        self._previous: TemplateEnd | None = None  # until all workers are those of `_current`
        self._purpose = Purpose.FIRST
        self._losses = 0  # since a template has loaded the application
        self._retry_at = NEVER

    def attach(
        self,
        selector: selectors.BaseSelector,
        scoreboard: Scoreboard,
        leave: Callable[[], object],
        beat: float,
    ) -> None:
        """Use what belongs to the supervisor; `leave` closes its descriptors in a new process."""
        self._selector = selector
        self._scoreboard = scoreboard
        self._leave = leave
        self._beat = beat

    # --- templates

    @property
    def can_start(self) -> bool:
        """Whether a worker can be forked now."""
        return self._current is not None

    def begin(self, purpose: Purpose) -> None:
        """Load the application in a new template; `look` tells when that has ended."""
        if self._loading is not None:
            self._close(self._loading)
            self._loading = None
        self._purpose = purpose if self._losses or self.can_start else Purpose.FIRST
        self._retry_at = NEVER
        ours, theirs = pair()
        link = WorkerLink(beat=self._beat)
        try:
            with child.blocked(self._handled):
                pid = os.fork()
                if pid == 0:
                    self._become_template(ours, theirs, link)
        except OSError:
            self._retry_at = time.monotonic() + FIRST_DELAY
            ours.close()
            link.close()
            return
        finally:
            theirs.close()
            link.handed_over()
        ours.settimeout(ANSWER)
        os.set_blocking(link.reader, False)
        self._loading = TemplateEnd(pid, link, ours, time.monotonic())
        self._selector.register(link.reader, selectors.EVENT_READ, self)

    def _become_template(
        self, ours: socket.socket, theirs: socket.socket, link: WorkerLink
    ) -> NoReturn:
        try:
            self._leave()
            ours.close()
            for other in self._all():
                other.leave()
            child.forget_exit_functions()
            child.die_with_parent(child.find_prctl())
            end = link.worker_end()
            stacks.write_to(end.tells)
            ApplicationTemplate(
                self._worker, self._scoreboard, theirs, self._handled, self._beat
            ).run(end)
        finally:
            os._exit(1)

    def look(self, now: float) -> Outcome | None:
        """The end of an attempt to load the application, when there is one."""
        if self._current is not None and not self._is_alive(self._current):
            self._lose()
        if self._previous is not None and not self._is_alive(self._previous):
            self.commit()
        if self._loading is None:
            if now >= self._retry_at:
                self.begin(Purpose.LOST)
            return None
        loading = self._loading
        if loading.hear():
            self._loading, self._losses = None, 0
            if self._previous is None:
                self._previous = self._current
            elif self._current is not None:
                self._close(self._current)
            self._current = loading
            if self._purpose is not Purpose.RELOAD:
                self.commit()
            return Outcome(self._purpose)
        if not self._is_alive(loading):
            return self._failed(loading, now)
        if self._timeout and now >= loading.born + self._timeout:
            loading.give_up(now)
        return None

    def commit(self) -> None:
        """End the template before the last one: it is no longer needed."""
        if self._previous is not None:
            self._close(self._previous)
            self._previous = None

    def roll_back(self) -> None:
        """Fork from the template before the last one again, whose workers serve."""
        if self._previous is not None:
            if self._current is not None:
                self._close(self._current)
            self._current, self._previous = self._previous, None

    def _is_alive(self, template: TemplateEnd) -> bool:
        template.hear()
        if template.status is None and template.at_end:
            self.ended()
            if template.status is None:
                try:
                    template.status = os.waitpid(template.pid, 0)[1]
                except ChildProcessError:
                    template.status = 0
        return template.status is None

    def _failed(self, loading: TemplateEnd, now: float) -> Outcome:
        self._loading = None
        why = loading.why(self._timeout)
        self._close(loading)
        if self._current is None and self._purpose is not Purpose.FIRST:
            self._losses += 1
            delay = min(FIRST_DELAY * 2 ** min(self._losses - 1, 10), LONGEST_DELAY)
            self._retry_at = now + delay
        return Outcome(self._purpose, why)

    def _lose(self) -> None:
        lost = self._current
        self._current = None
        assert lost is not None
        how = signals.death(os.waitstatus_to_exitcode(lost.status or 0))
        log.error(
            "The template process %d %s. The application is loaded in another one.", lost.pid, how
        )
        self._close(lost)
        self._losses += 1
        if self._loading is None:
            self.begin(Purpose.LOST)

    def _all(self) -> list[TemplateEnd]:
        return [each for each in (self._loading, self._current, self._previous) if each]

    def wake_at(self) -> float:
        """When to look again even if nothing has happened."""
        loading = self._loading
        if loading is None:
            return self._retry_at
        if loading.kill_at != NEVER:
            return loading.kill_at
        return loading.born + self._timeout if self._timeout else NEVER

    def stop(self) -> None:
        """End the templates. Workers that run do not need them."""
        self._retry_at = NEVER
        for template in self._all():
            self._close(template)
        self._loading = self._current = self._previous = None

    def _close(self, template: TemplateEnd) -> None:
        if template.link.reader in self._selector.get_map():
            self._selector.unregister(template.link.reader)
        template.close()

    # --- workers

    def start(self, link: WorkerLink, leave: Callable[[], object]) -> int:
        current = self._current
        if current is None:
            raise OSError("The template process has ended.")
        memory = link.share_requests()
        try:
            row = self._scoreboard.index(link.row)
            message = json.dumps({"row": row}).encode()
            socket.send_fds(current.commands, [message], (link.told, link.tells, memory))
            pid = int(current.commands.recv(LONGEST) or b"0")
        except TimeoutError:
            os.kill(current.pid, signal.SIGKILL)  # its late answer would be that of another worker
            raise OSError(
                f"The template process did not answer within {ANSWER:g} s. A hook may hang."
            ) from None
        finally:
            os.close(memory)
        if not pid:
            raise OSError("The template process cannot fork.")
        return pid

    def ended(self, workers: Iterable[int] = ()) -> list[Ended]:
        found = super().ended(workers)
        for template in self._all():
            for pid, status in found:
                if pid == template.pid:
                    template.status = status
        return found

    def end(self, workers: Iterable[int] = ()) -> None:
        super().end(workers)
        self.stop()
