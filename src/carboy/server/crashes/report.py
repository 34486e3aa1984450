"""The content of a crash report: facts that the supervisor knows when a worker has ended."""

from __future__ import annotations

import os
import platform
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Any

from carboy import __version__
from carboy.server.dataclass import dataclass
from carboy.server.processes.link import WorkerLink
from carboy.server.scoreboard import Figure
from carboy.server.signals import death, named

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")
# Signals whose default action writes a core dump (signal(7)).
DUMPING = frozenset(
    named("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGQUIT", "SIGSEGV", "SIGSYS", "SIGTRAP")
)


class Reason(Enum):
    """The kinds of ends that are reported."""

    CRASH = "crash"
    STUCK = "stuck"  # the server has ended it, because it showed no sign of life
    FAILED_START = "failed_start"  # it ended before the application was loaded
    START_TIMEOUT = "start_timeout"  # the server has ended it, because it did not become ready


@dataclass(frozen=True, slots=True)
class Evidence:
    """The figures that a worker had written to shared memory when it ended."""

    requests: list[tuple[str, float]]  # on its threads: first line, seconds
    last_read: str  # the request that it read last
    memory: int | None  # bytes that were resident, not more than a few seconds earlier


def evidence(link: WorkerLink, now: float) -> Evidence:
    """The evidence, before the memory is used for another worker."""
    running = [(line, round(max(0.0, now - began), 3)) for line, began in link.in_flight.running()]
    memory = int(link.row.cells[Figure.MEMORY]) or None
    running.sort(key=lambda each: -each[1])
    return Evidence(running, link.in_flight.last_read(), memory)


@dataclass(frozen=True, slots=True)
class End:
    """The end of a worker. `status` is as os.waitpid gives it, `lived` in seconds."""

    worker: int
    status: int
    lived: float
    reason: Reason
    stuck: str  # why it was stuck, for people
    evidence: Evidence
    stacks: str
    oom_kills: int  # processes of the container that the kernel has ended for memory meanwhile


def report(end: End, application: str, folder: str) -> dict[str, Any]:
    """The report, for JSON. `folder` is that of the project."""
    now = time.time()
    code = os.waitstatus_to_exitcode(end.status)
    core = _core(end.status)
    return {
        "id": f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}-{end.worker}",
        "time": round(now, 3),
        "application": application,
        "folder": folder,
        "server": os.getpid(),
        "worker": end.worker,
        "reason": end.reason.value,
        "how": end.stuck or death(code),
        "signal": _signal(code) if code < 0 else None,
        "exit_code": code if code >= 0 else None,
        "lived": round(end.lived, 3),
        **_shown(end.evidence),
        "stacks": end.stacks,
        "oom_kills": end.oom_kills,
        "core": core,
        "hints": list(_hints(end, code, core)),
        "carboy": __version__,
        "python": platform.python_version(),
    }


def _shown(evidence: Evidence) -> dict[str, Any]:
    found = asdict(evidence)
    found["requests"] = [
        {"request": line, "seconds": seconds} for line, seconds in evidence.requests
    ]
    return found


def _signal(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _core(status: int) -> dict[str, Any]:
    """Whether there is a core dump, and where the system writes one. `limit`: bytes, None: any."""
    try:
        pattern = CORE_PATTERN.read_text().strip()
    except OSError:
        pattern = ""
    limit = resource.getrlimit(resource.RLIMIT_CORE)[0] if resource else None
    return {
        "dumped": os.WIFSIGNALED(status) and os.WCOREDUMP(status),
        "pattern": pattern,
        "limit": None if limit in (None, -1) else limit,  # -1: RLIM_INFINITY
    }


def _hints(end: End, code: int, core: dict[str, Any]) -> Iterator[str]:
    """Sentences about the next step of the user."""
    if code == -signal.SIGKILL and end.oom_kills:
        yield (
            "The kernel has ended a process of this container because memory ran out. Give the"
            " container more memory, use fewer --workers, or limit each worker with --max-memory."
        )
    if -code not in DUMPING or end.reason is not Reason.CRASH:
        return
    if core["dumped"]:
        yield f"The core dump is {_place(core['pattern'])}."
    elif core["limit"] == 0 and not core["pattern"].startswith("|"):
        yield (
            "No core dump was written. For one, start the server after `ulimit -c unlimited`, or"
            " with LimitCORE=infinity under systemd."
        )


def _place(pattern: str) -> str:
    """Where the system writes core dumps (core(5))."""
    if pattern.startswith("|"):
        program = pattern[1:].split(maxsplit=1)[0] if pattern[1:].split() else "a program"
        more = "; `coredumpctl` shows it" if "systemd-coredump" in program else ""
        return f"with {program}{more}"
    return f"a file named after the pattern {pattern!r}, in the folder of the server without a path"
