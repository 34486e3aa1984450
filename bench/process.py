"""Processor time and memory of the processes of a server, from /proc."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """Processor time and memory of a process and all its descendants."""

    cpu_seconds: float
    rss_mib: float


def tree(root: int) -> list[int]:
    """`root` and its descendants that are running."""
    families = _families()
    found = [root]
    for pid in found:
        found += families.get(pid, [])
    return found


def children(parent: int) -> list[int]:
    """The running child processes of `parent`."""
    return _families().get(parent, [])


def session(leader: int) -> list[int]:
    """The processes of the session of `leader`, which may have ended."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if int(_stat(int(entry.name))[3]) == leader:
                    found.append(int(entry.name))
    return found


def _families() -> dict[int, list[int]]:
    """The children of all processes."""
    families: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                families.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    return families


def cost(root: int) -> Cost:
    """Processor time so far, including ended children, and current resident memory."""
    ticks, kib = 0, 0
    for pid in tree(root):
        with contextlib.suppress(OSError):
            ticks += sum(map(int, _stat(pid)[11:15]))  # utime stime cutime cstime
            kib += _resident_kib(pid)
    return Cost(ticks / TICKS, kib / 1024)


def _stat(pid: int) -> list[str]:
    """The fields after the name, which may contain spaces and brackets."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _resident_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0
