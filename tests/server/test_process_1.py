"""A server that is process 1 of a container: it reaps orphans, and reloads without ending."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from running import LOADS, PATIENCE, Running, children

APP = """
import os, subprocess, time

def app(environ, start_response):
    body = b"old"
    if environ["PATH_INFO"] == "/orphan":
        shell = subprocess.run(["sh", "-c", "true & echo $!"], stdout=subprocess.PIPE)
        pid = int(shell.stdout)
        end = time.monotonic() + 20
        while os.path.exists(f"/proc/{pid}") and time.monotonic() < end:
            time.sleep(0.01)
        body = repr((os.getppid(), os.path.exists(f"/proc/{pid}"))).encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
"""
# Becomes unshare(1), which starts `python -m carboy …` as process 1 of a namespace.
UNSHARE = "import os, sys; os.execvp('unshare', [*sys.argv[1:6], '-m', 'carboy', *sys.argv[6:]])"
NAMESPACE = ("unshare", "-pf", "--kill-child", "--mount-proc", sys.executable)


def can_unshare() -> bool:
    if shutil.which("unshare") is None:
        return False
    command = [*NAMESPACE[:-1], "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not can_unshare(), reason="needs a pid namespace")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "service.py").write_text(APP)
    return tmp_path


def started(folder: Path, *args: str) -> Running:
    command = (*NAMESPACE, "run", "service", "-p", "0", *args)
    return Running(*command, cwd=folder, command=("-c", UNSHARE))


@pytest.mark.parametrize("how", [(), ("--no-supervisor",)])
def test_process_1_of_a_container_reaps_orphans(folder: Path, how: tuple[str, ...]) -> None:
    with started(folder, *how) as server:
        assert server.get("/orphan") == (200, b"(1, False)")
        (first,) = children(server.pid)
        os.kill(first, signal.SIGTERM)
        server.process.wait(PATIENCE)


def test_process_1_reloads_and_survives_code_that_does_not_load(folder: Path) -> None:
    with started(folder, "--no-supervisor") as server:
        assert server.get("/") == (200, b"old")
        (first,) = children(server.pid)
        (folder / "service.py").write_text("import nothing_of_that_name\n")
        os.kill(first, signal.SIGHUP)
        server.line("The old code continues to serve.")
        assert server.get("/") == (200, b"old")
        (folder / "service.py").write_text(APP.replace("old", "fixed"))
        os.kill(first, signal.SIGHUP)
        while server.get("/")[1] != b"fixed":
            pass
        assert children(server.pid) == {first}
        os.kill(first, signal.SIGTERM)
        server.process.wait(PATIENCE)


@pytest.mark.parametrize("how", [(), ("--no-supervisor",), ("--preload",)])
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGQUIT, 131)]
)
def test_a_signal_ends_process_1_while_the_application_loads(
    folder: Path, how: tuple[str, ...], number: int, code: int
) -> None:
    # The kernel drops signals to process 1 that have no handler.
    (folder / "service.py").write_text(LOADS)
    with started(folder, *how) as server:
        server.line("loads")
        (first,) = children(server.pid)
        os.kill(first, number)
        assert server.wait() == code


def test_process_1_without_a_supervisor_leaves_the_children_of_the_application_to_it(
    folder: Path,
) -> None:
    app = """
import subprocess
started = subprocess.Popen(["sh", "-c", "exit 7"])

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % started.wait()]
"""
    (folder / "service.py").write_text(app)
    with started(folder, "--no-supervisor") as server:
        assert server.get("/") == (200, b"7")


@pytest.mark.parametrize("end, code", [("os._exit(3)", 3), ("os.kill(os.getpid(), 9)", 137)])
def test_process_1_without_a_supervisor_ends_as_the_server_does(
    folder: Path, end: str, code: int
) -> None:
    (folder / "service.py").write_text(f"import os\n{end}\n")
    with started(folder, "--no-supervisor") as server:
        assert server.wait() == code
