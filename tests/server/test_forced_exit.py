"""No process outlives the graceful timeout for long, and the log says what held it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from running import Running

APP = """
import atexit, logging, threading

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
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
"""
SHORT = ("--graceful-timeout", "0.1", "--idle-grace", "0")


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
