"""A server in a container: process 1, half a processor, 256 MB, no terminal, and PORT is set."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from running import PATIENCE, Running, children

EXAMPLE = Path(__file__).parents[2] / "examples" / "deploy"
CGROUPS = Path("/sys/fs/cgroup")
MEMORY = 256 * 1024 * 1024
# Version 1 has a tree for each controller, and version 2 one for all.
VERSION_1 = {
    "cpu": {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"},
    "memory": {"memory.limit_in_bytes": str(MEMORY)},
}
VERSION_2 = {"": {"cpu.max": "50000 100000", "memory.max": str(MEMORY)}}
# Enters the groups, then becomes unshare(1), which starts `python -m carboy …` as process 1.
ENTER = """
import os, sys
for group in os.environ["GROUPS"].split(":"):
    with open(group + "/cgroup.procs", "w") as file:
        file.write(str(os.getpid()))
options = ["--pid", "--mount", "--fork", "--kill-child", "--mount-proc", sys.executable]
os.execvp("unshare", ["unshare", *options, "-m", "carboy", *sys.argv[1:]])
"""


@pytest.fixture
def groups() -> Iterator[list[Path]]:
    """Control groups with the limits."""
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        pytest.skip("needs unshare and nsenter")
    version_2 = (CGROUPS / "cgroup.controllers").exists()
    made: list[Path] = []
    try:
        for controller, values in (VERSION_2 if version_2 else VERSION_1).items():
            group = CGROUPS / controller / f"carboy-test-{uuid.uuid4().hex}"
            group.mkdir()
            made.append(group)
            for name, value in values.items():
                (group / name).write_text(value)
        yield made
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    finally:
        for group in made:
            group.rmdir()


def in_container(process: int, *command: str) -> str:
    """The output of a command, as `docker exec` runs it."""
    enter = ("nsenter", "--target", str(process), "--pid", "--mount", f"--wd={EXAMPLE}")
    done = subprocess.run(
        [*enter, sys.executable, "-m", "carboy", *command],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_container_needs_no_options(groups: list[Path]) -> None:
    platform = {"PORT": "0", "GROUPS": ":".join(map(str, groups))}
    options = ("--workers", "auto", "--max-memory", "auto", "--readyz", "/readyz")
    command = ("run", "shop:app", *options)
    with Running(*command, cwd=EXAMPLE, env=platform, command=("-c", ENTER)) as server:
        server.line("1 process × 16 threads")  # half a processor
        assert server.get("/readyz") == (200, b"ready\n")
        (first,) = children(server.pid)
        status = json.loads(in_container(first, "status", "--json"))
        assert (status["server"]["pid"], len(status["workers"])) == (1, 1)
        os.kill(first, signal.SIGTERM)
        assert server.wait() == 0
        assert "Stopped." in server.text()
