"""A PostgreSQL server for tests, in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from running import PATIENCE

DEBIAN = Path("/usr/lib/postgresql")


def program(name: str) -> str:
    """The path of one of its programs."""
    newest = sorted(DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    found = shutil.which(name) or (str(newest[-1]) if newest else None)
    assert found, f"{name} is missing. Install the package postgresql."
    return found


@contextmanager
def postgres() -> Iterator[str]:
    """The connection string of a server that only this process's user can reach."""
    # Not in pytest's folder, which another user may not enter. Paths of sockets are short.
    folder = Path(tempfile.mkdtemp(prefix="carboy-pg-"))
    user = "postgres" if os.getuid() == 0 else None  # the server refuses to run as root
    if user:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)

    def run(*command: str) -> None:
        done = subprocess.run(
            command, user=user, cwd=folder, capture_output=True, text=True, timeout=PATIENCE * 3,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    data = str(folder / "data")
    control = (program("pg_ctl"), "-D", data, "-w")
    try:
        run(
            program("initdb"), "-D", data, "-U", "tests", "-A", "trust", "--no-sync", "-E", "UTF8",
            "--no-instructions",
        )  # fmt: skip
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=20"
        run(*control, "-o", options, "-l", str(folder / "log"), "start")
        try:
            yield f"host={folder} user=tests dbname=postgres"
        finally:
            run(*control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
