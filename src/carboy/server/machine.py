"""The share of the machine that this process may use: processors and memory.

A container limits both by control groups (cgroups(7)). A limit of a group is also one for the
groups below it, so the smallest one on the way up counts. Version 2 has the files cpu.max and
memory.max, version 1 cpu.cfs_quota_us with cpu.cfs_period_us, and memory.limit_in_bytes.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath

PROC = Path("/proc/self")
# Version 1 writes about 2**63 for "no limit", rounded to pages.
NO_LIMIT = 1 << 60
_escape = re.compile(r"\\([0-7]{3})")


def usable_cpus() -> int:
    """Number of processors this process may use, by its affinity and the quota of its cgroups."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0)) or 1
    else:
        count = os.cpu_count() or 1
    return whole_cpus(count, _quota())


def whole_cpus(count: int, quota: float | None) -> int:
    """`count` processors under a quota. A part of a processor counts as one: it is usable."""
    return count if quota is None else max(1, min(count, math.ceil(quota)))


@cache
def _quota() -> float | None:
    return cpu_quota()


def cpu_quota(proc: Path = PROC) -> float | None:
    """Processors that the cgroups of this process allow, such as 0.5; None without a limit.

    `proc` is the folder of the process in /proc. A file that cannot be read is left out.
    """
    found: list[float] = []
    for folder, version in groups(proc, "cpu"):
        if version == 2:
            quota, _, period = _read(folder / "cpu.max").partition(" ")
        else:
            quota = _read(folder / "cpu.cfs_quota_us")
            period = _read(folder / "cpu.cfs_period_us")
        if quota.isdecimal() and period.isdecimal() and int(quota) and int(period):
            found.append(int(quota) / int(period))
    return min(found, default=None)


def memory_limit(proc: Path = PROC) -> int | None:
    """Bytes of memory that the cgroups of this process allow; None without a limit."""
    found: list[int] = []
    for folder, version in groups(proc, "memory"):
        name = "memory.max" if version == 2 else "memory.limit_in_bytes"
        text = _read(folder / name)
        if text.isdecimal() and int(text) < NO_LIMIT:
            found.append(int(text))
    return min(found, default=None)


def resident(pid: int) -> int | None:
    """Bytes of memory of a process that are resident; None if that cannot be found out."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def oom_kills(proc: Path = PROC) -> int | None:
    """Processes of this container that the kernel has ended because memory ran out; None: unknown.

    It counts those of the nearest control group that says so, and of the groups below it.
    """
    for folder, version in groups(proc, "memory"):
        name = "memory.events" if version == 2 else "memory.oom_control"
        for line in _read(folder / name).splitlines():
            word, _, count = line.partition(" ")
            if word == "oom_kill" and count.isdecimal():
                return int(count)
    return None


def groups(proc: Path, controller: str) -> Iterator[tuple[Path, int]]:
    """Folders of the cgroups of a process, from its own upwards, each with the version: 1 or 2."""
    mounts = list(_mounts(proc))
    for line in _read(proc / "cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        version = 2 if number == "0" and not controllers else 1
        if version == 1 and controller not in controllers.split(","):
            continue
        for kind, options, root, place in mounts:
            right = kind == "cgroup2" if version == 2 else controller in options
            if right and (version == 2 or kind == "cgroup"):
                for folder in _upwards(place, _below(path, root)):
                    yield folder, version
                break


def _mounts(proc: Path) -> Iterator[tuple[str, list[str], str, Path]]:
    """Type, options of the file system, root and place of each mount (proc_pid_mountinfo(5))."""
    for line in _read(proc / "mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        mount, system = before.split(), after.split()
        if len(mount) >= 5 and len(system) >= 3 and system[0] in ("cgroup", "cgroup2"):
            yield system[0], system[2].split(","), _plain(mount[3]), Path(_plain(mount[4]))


def _plain(text: str) -> str:
    """A path of mountinfo: spaces and such are written as octal numbers."""
    return _escape.sub(lambda found: chr(int(found[1], 8)), text)


def _below(path: str, root: str) -> PurePosixPath:
    """A cgroup's path below the mount whose root is `root`; "." if the mount shows another part.

    In a container, the mount often shows the container's own group only.
    """
    wanted = PurePosixPath(path)
    if ".." not in wanted.parts and wanted.is_relative_to(root):
        return wanted.relative_to(root)
    return PurePosixPath()


def _upwards(place: Path, below: PurePosixPath) -> Iterator[Path]:
    yield place / below
    for each in below.parents:
        yield place / each


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except (OSError, ValueError):
        return ""
