"""Nothing outlives the graceful time-out for long, and the log says what held it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from running import PATIENCE, Running, children

APP = """
import atexit, logging, os, subprocess, sys, threading, time

def hold_lock():
    logging._acquireLock() if hasattr(logging, "_acquireLock") else logging._lock.acquire()
    held.set()
    threading.Event().wait()

held = threading.Event()

def app(environ, start_response):
    path = environ["PATH_INFO"]
    body = b"done"
    if path == "/thread":
        threading.Thread(target=held.wait, name="forgotten", daemon=False).start()
    elif path == "/atexit":
        atexit.register(threading.Event().wait)
    elif path == "/lock":
        threading.Thread(target=hold_lock, name="locker", daemon=True).start()
        held.wait()
    elif path == "/orphan":
        shell = subprocess.run(["sh", "-c", "true & echo $!"], stdout=subprocess.PIPE)
        pid = int(shell.stdout)
        end = time.monotonic() + 20
        while os.path.exists(f"/proc/{pid}") and time.monotonic() < end:
            time.sleep(0.01)
        body = repr((os.getppid(), os.path.exists(f"/proc/{pid}"))).encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
"""
SHORT = ("--graceful-timeout", "0.1", "--idle-grace", "0")
# Becomes unshare(1), which starts `python -m carboy …` as process 1 of a namespace.
UNSHARE = "import os, sys; os.execvp('unshare', [*sys.argv[1:6], '-m', 'carboy', *sys.argv[6:]])"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "service.py").write_text(APP)
    return tmp_path


@pytest.mark.parametrize("mode", [("--no-supervisor",), ()], ids=["alone", "supervised"])
def test_a_process_that_does_not_end_is_ended_and_the_log_says_why(
    folder: Path, mode: tuple[str, ...]
) -> None:
    reasons = {"/thread": "'forgotten'", "/atexit": "the main thread in", "/lock": "close"}
    if not mode:
        del reasons["/thread"]  # a worker does not wait for threads
    with ExitStack() as stack:
        servers = {
            path: stack.enter_context(
                Running("run", "service", "-p", "0", *SHORT, *mode, cwd=folder)
            )
            for path in reasons
        }
        for path, server in servers.items():
            assert server.get(path) == (200, b"done")
            server.process.terminate()
        for path, server in servers.items():
            server.wait()
            assert reasons[path] in server.line("Not ended"), path


def can_unshare() -> bool:
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "-pf", "--kill-child", "--mount-proc", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_unshare(), reason="needs a pid namespace")
def test_process_1_of_a_container_reaps_orphans(folder: Path) -> None:
    unshare = ("unshare", "-pf", "--kill-child", "--mount-proc", sys.executable)
    with Running(
        *unshare, "run", "service", "-p", "0", cwd=folder, command=("-c", UNSHARE)
    ) as server:
        assert server.get("/orphan") == (200, b"(1, False)")
        (first,) = children(server.pid)
        subprocess.run(["kill", str(first)], check=True)
        server.process.wait(PATIENCE)
