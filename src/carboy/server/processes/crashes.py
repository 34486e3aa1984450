"""A supervisor's reports of workers that have ended without being asked (server/crashes/).

Nothing here waits or raises. Files are written by processes of their own, of which there are at
most MOST at a time: further reports are dropped while a disk does not answer.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from carboy.server.crashes import folder as files
from carboy.server.crashes import writer
from carboy.server.crashes.report import End, Evidence, Reason, evidence, report
from carboy.server.logs.error_log import ERROR_LOGGER
from carboy.server.machine import oom_kills
from carboy.server.processes.generations import Member, State
from carboy.server.processes.link import WorkerLink
from carboy.server.processes.stuck import REASONS, Stuck
from carboy.server.signals import named

log = logging.getLogger(ERROR_LOGGER)

MOST = 4
LAST = 2.0  # seconds for the last reports, when the server ends
PAUSE = 0.01
# Signals with which a worker that was asked to end may be ended.
ASKED = frozenset(named("SIGTERM", "SIGINT", "SIGKILL", "SIGQUIT", "SIGHUP"))


class CrashReports:
    """Writes reports to `folder` and keeps `keep` of them; none if that is 0 or there is none."""

    def __init__(
        self,
        folder: Path | None = None,
        keep: int = 0,
        application: str = "",
        project: str = "",
        forks: bool = True,
    ) -> None:
        self.writers: set[int] = set()  # processes, of which the supervisor learns the end
        self.handled: Iterable[signal.Signals] = ()
        self._folder = folder if keep else None
        self._keep = keep
        self._forks = forks  # False: this process has threads, and may wait for a disk
        self._application = application
        self._project = project
        self._stuck: dict[int, str] = {}
        self._oom_kills = oom_kills() or 0 if self._folder else 0
        self._logged = False  # that reports cannot be written

    def stuck(self, worker: int, found: Stuck) -> None:
        """A worker is stuck, so its end is reported."""
        self._stuck[worker] = f"was stuck: {REASONS[found]}"

    def evidence(self, link: WorkerLink, now: float) -> Evidence | None:
        """The figures of the worker, before its end is handled; None without reports."""
        if self._folder is None:
            return None
        try:
            return evidence(link, now)
        except Exception as problem:  # a report must not end the server
            self._failed(str(problem))
            return None

    def ended(
        self, member: Member, status: int, found: Evidence | None, link: WorkerLink, asked: bool
    ) -> None:
        """Report the end of a worker, unless it was `asked` to end and did so."""
        stuck = self._stuck.pop(member.number, "")
        if found is None:
            return
        reason = reason_of(member, status, bool(stuck), link.failure() is not None, asked)
        if reason is None:
            return
        try:
            self._write(
                End(
                    worker=member.number,
                    status=status,
                    lived=time.monotonic() - member.born,
                    reason=reason,
                    stuck=stuck,
                    evidence=found,
                    stacks=link.stacks,
                    oom_kills=self._killed_for_memory(),
                )
            )
        except Exception as problem:  # a report must not end the server
            self._failed(str(getattr(problem, "strerror", None) or problem))

    def _write(self, end: End) -> None:
        if len(self.writers) >= MOST or self._folder is None:
            self._failed("The disk does not answer")
            return
        found = report(end, self._application, self._project)
        content = json.dumps(found, indent=2).encode() + b"\n"
        if not self._forks:
            files.write(self._folder, found["id"], content, self._keep)
            self._logged = False
            return
        pid = writer.start(self._folder, found["id"], content, self._keep, self.handled)
        self.writers.add(pid)

    def _killed_for_memory(self) -> int:
        """Processes that the kernel has ended for memory since the last crash."""
        now = oom_kills() or 0
        before, self._oom_kills = self._oom_kills, now
        return max(0, now - before)

    def written(self, pid: int, status: int) -> None:
        """A process has ended that may be one of `writers`."""
        if pid in self.writers:
            self.writers.discard(pid)
            if problem := writer.problem(status):
                self._failed(problem)
            else:
                self._logged = False

    def _failed(self, why: str) -> None:
        """Log the first failure in a row only: a worker may crash again and again."""
        if not self._logged:
            self._logged = True
            log.error(
                "Crash reports cannot be written to %s: %s. Free space, or use --state with another"
                " folder; --crash-reports 0 turns them off.", self._folder, why.rstrip("."),
            )  # fmt: skip

    def stop(self) -> None:
        """The server ends: wait a moment for what is being written."""
        end = time.monotonic() + LAST
        while self.writers and time.monotonic() < end:
            for pid in list(self.writers):
                try:
                    ended, status = os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    ended, status = pid, 0  # another part of the program has waited for it
                if ended:
                    self.written(pid, status)
            if self.writers:
                time.sleep(PAUSE)


def reason_of(
    member: Member, status: int, stuck: bool, has_failed: bool, asked: bool
) -> Reason | None:
    """Why the end of a worker is reported; None if it is not.

    `has_failed`: it has said why it cannot start, which the log has.
    """
    if stuck:
        return Reason.STUCK
    if asked:
        code = os.waitstatus_to_exitcode(status)
        return Reason.CRASH if code < 0 and -code not in ASKED else None
    if member.state is State.SERVING:
        return Reason.CRASH
    if has_failed:
        return None
    return Reason.START_TIMEOUT if member.given_up else Reason.FAILED_START
