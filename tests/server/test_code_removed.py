"""The files of the server are removed while it runs, as by a new virtual environment."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import carboy
from running import Running, children

APP = """
import os

from carboy import Flask, session

app = Flask(__name__)
app.secret_key = "key"


@app.get("/")
def pid():
    return str(os.getpid())


@app.get("/session")
def count():
    session["n"] = session.get("n", 0) + 1
    return str(session["n"])


@app.get("/broken")
def broken():
    raise ValueError("of the view")
"""


def test_the_workers_and_the_supervisor_go_on_and_the_files_may_come_back(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(APP)
    site, away = tmp_path / "site", tmp_path / "away"
    shutil.copytree(
        Path(carboy.__file__).parent, site / "carboy",
        ignore=shutil.ignore_patterns("__pycache__", "*.c", "*.so"),
    )  # fmt: skip
    args = ("run", "service", "-p", "0", "-w", "2")
    program = (
        f"import sys; sys.path.insert(0, {str(site)!r}); import carboy.cli.main as m; m.main()"
    )
    with Running(*args, cwd=tmp_path, command=("-c", program)) as server:
        workers = set()
        while len(workers) < 2:
            workers.add(int(server.get("/")[1]))
        site.rename(away)
        for path, expected in (("/session", 200), ("/broken", 500), ("/missing", 404)):
            assert server.get(path)[0] == expected
        server.line("ValueError: of the view")
        victim, other = workers
        os.kill(victim, signal.SIGKILL)
        server.line("another one takes its place")
        server.line("Another worker will be started in")  # its application cannot be loaded
        assert server.get("/") == (200, str(other).encode())
        away.rename(site)
        while len(now := {int(server.get("/")[1]) for _ in range(10)}) < 2:
            pass
        assert victim not in now
        assert other in now
        assert now <= children(server.pid)
        assert server.stop() == 0
