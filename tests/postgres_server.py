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


class Postgres:
    """A server in a folder of its own. `start` and `stop` may be called again and again."""

    def __init__(self) -> None:
        # Not in pytest's folder, which another user may not enter. Paths of sockets are short.
        self.folder = Path(tempfile.mkdtemp(prefix="carboy-pg-"))
        # The server refuses to run as root.
        self.user = "postgres" if os.getuid() == 0 else None
        if self.user:
            os.chown(self.folder, pwd.getpwnam(self.user).pw_uid, -1)
        data = str(self.folder / "data")
        self._control = (program("pg_ctl"), "-D", data, "-w")
        self._run(
            program("initdb"), "-D", data, "-U", "tests", "-A", "trust", "--no-sync", "-E", "UTF8",
            "--no-instructions",
        )  # fmt: skip

    @property
    def url(self) -> str:
        return f"postgresql://tests@/postgres?host={self.folder}"

    def start(self) -> None:
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off -c max_connections=40"
        self._run(*self._control, "-o", options, "-l", str(self.folder / "log"), "start")

    def stop(self) -> None:
        self._run(*self._control, "-m", "immediate", "stop")

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            command, user=self.user, cwd=self.folder, capture_output=True, text=True,
            timeout=PATIENCE * 3, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A server that only this process's user can reach, which runs."""
    server = Postgres()
    try:
        server.start()
        try:
            yield server
        finally:
            if (server.folder / "data" / "postmaster.pid").exists():
                server.stop()
    finally:
        shutil.rmtree(server.folder, ignore_errors=True)


@contextmanager
def postgres() -> Iterator[str]:
    """The connection string of such a server."""
    with postgres_server() as server:
        yield f"host={server.folder} user=tests dbname=postgres"
