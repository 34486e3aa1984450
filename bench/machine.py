"""The machine of a run, and whether other programs use it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from bench import rivals

BUSY = 0.15
"""The share of the processors above which other programs disturb a run."""


@dataclass(frozen=True)
class Machine:
    """The properties of the machine that the figures depend on."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    wrk: str
    carboy: str
    commit: str
    rivals: dict[str, str]

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def describe() -> Machine:
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        system=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        wrk=_wrk(),
        carboy=version("carboy"),
        commit=_commit(),
        rivals=rivals.versions(),
    )


def busy(seconds: float = 0.5) -> float:
    """The share of the processors that other programs use, from 0 to 1."""
    idle_before, all_before = _processor_time()
    time.sleep(seconds)
    idle_after, all_after = _processor_time()
    return 1 - (idle_after - idle_before) / max(1, all_after - all_before)


def _processor_time() -> tuple[int, int]:
    fields = [int(one) for one in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _wrk() -> str:
    if shutil.which("wrk") is None:
        return "none"  # not every measurement needs it
    said = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout
    return " ".join(said.split()[1:2])


def _commit() -> str:
    said = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=rivals.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip()
