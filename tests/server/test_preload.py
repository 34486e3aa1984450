"""--preload: the application is loaded once, and workers are forked from that process."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from running import LOADS, Running, await_gone, children

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a subreaper")

APP = """
import atexit, gc, os, signal

with open("loaded", "a") as file:
    file.write(f"{os.getpid()}\\n")
atexit.register(lambda: os.write(1, f"exit {os.getpid()}\\n".encode()))

def app(environ, start_response):
    path = environ["PATH_INFO"]
    body = str(os.getpid())
    if path == "/die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif path == "/frozen":
        body = str(gc.get_freeze_count())
    elif path == "/version":
        body = "VERSION"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body.encode()]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "service.py").write_text(APP.replace("VERSION", "one"))
    return tmp_path


def started(folder: Path, *args: str) -> Running:
    return Running("run", "service", "-p", "0", "--preload", *args, cwd=folder)


def loaded(folder: Path) -> list[int]:
    """The processes that have loaded the application."""
    return list(map(int, (folder / "loaded").read_text().split()))


def test_the_application_is_loaded_once_and_not_by_the_supervisor(folder: Path) -> None:
    with started(folder, "-w", "3") as server:
        workers: set[int] = set()
        while len(workers) < 3:
            workers.add(int(server.get()[1]))
        (template,) = loaded(folder)
        assert template not in workers | {server.pid}
        assert children(server.pid) == workers | {template}
        assert int(server.get("/frozen")[1]) > 1000
        assert server.stop() == 0
        # Functions of atexit run in the workers, as without --preload, and nowhere else.
        assert {int(line[5:]) for line in server.out if line.startswith("exit")} == workers


def test_a_worker_that_crashes_is_replaced_without_loading_the_application(folder: Path) -> None:
    with started(folder) as server:
        first = int(server.get()[1])
        with pytest.raises(OSError):
            server.get("/die")
        server.line(f"Worker {first} was killed by SIGKILL")
        server.line("GET /die HTTP/1.1")
        assert int(server.get()[1]) != first
        assert len(loaded(folder)) == 1
        assert server.stop() == 0


def test_a_reload_loads_new_code_in_a_new_template(folder: Path) -> None:
    with started(folder) as server:
        first = int(server.get()[1])
        (old,) = loaded(folder)
        (folder / "service.py").write_text(APP.replace("VERSION", "two"))
        server.send(signal.SIGHUP)
        server.line("All workers have been replaced.")
        await_gone(first)
        await_gone(old)
        assert server.get("/version") == (200, b"two")
        assert len(loaded(folder)) == 2
        assert server.stop() == 0


def test_a_reload_that_fails_changes_nothing(folder: Path) -> None:
    with started(folder) as server:
        first = int(server.get()[1])
        before = children(server.pid)
        (folder / "service.py").write_text("import nothing_of_that_name\n")
        server.send(signal.SIGHUP)
        server.line("nothing_of_that_name")
        server.line("The workers are not replaced. The old ones continue to serve.")
        assert int(server.get()[1]) == first
        assert children(server.pid) == before
        os.kill(first, signal.SIGKILL)
        server.line(f"Worker {first} was killed")
        assert server.get("/version") == (200, b"one")  # from the old template
        assert server.stop() == 0


def test_an_application_that_does_not_load_ends_the_server(folder: Path) -> None:
    (folder / "service.py").write_text("import nothing_of_that_name\n")
    with started(folder) as server:
        assert server.wait() == 1
        assert "nothing_of_that_name" in server.text()


def test_an_application_that_takes_too_long_to_load_ends_the_server(folder: Path) -> None:
    (folder / "service.py").write_text("def hang():\n import time\n time.sleep(600)\nhang()\n")
    with started(folder, "--start-timeout", "0.5") as server:
        assert server.wait() == 1
        assert "was not loaded within 0.5 s" in server.text()
        assert "in hang" in server.text()


def test_a_template_that_is_killed_while_it_loads_is_an_error(folder: Path) -> None:
    (folder / "service.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    with started(folder) as server:
        assert server.wait() == 1
        assert "was killed by SIGKILL" in server.text()
        assert "while it loaded the application" in server.text()


def test_a_template_that_is_killed_is_replaced(folder: Path) -> None:
    with started(folder) as server:
        first = int(server.get()[1])
        (template,) = loaded(folder)
        os.kill(template, signal.SIGKILL)
        server.line(f"The template process {template} was killed by SIGKILL")
        os.kill(first, signal.SIGKILL)
        server.line(f"Worker {first} was killed")
        assert int(server.get()[1]) != first
        assert len(loaded(folder)) == 2
        assert server.stop() == 0


def test_a_stop_ends_a_template_that_loads(folder: Path) -> None:
    (folder / "service.py").write_text(LOADS)
    with started(folder) as server:
        server.line("loads")
        assert server.stop() == 0
        assert not children(os.getpid()) & {server.pid}


def test_threads_that_the_application_has_started_are_named_in_a_warning(folder: Path) -> None:
    (folder / "service.py").write_text(
        APP + "import threading\n"
        "threading.Thread(target=threading.Event().wait, name='poller', daemon=True).start()\n"
    )
    with started(folder) as server:
        server.line("The application has started threads while it was loaded")
        assert "poller" in server.line("do not have")
        assert server.get()[0] == 200
        assert server.stop() == 0


def test_preload_requires_the_supervisor(folder: Path) -> None:
    with started(folder, "--no-supervisor") as server:
        assert server.wait() == 2
        assert "--preload requires the supervisor" in server.text()


def test_workers_end_when_the_supervisor_is_killed(folder: Path) -> None:
    with started(folder, "-w", "2") as server:
        server.get()
        all_of_them = children(server.pid)
        assert len(all_of_them) == 3
        os.kill(server.pid, signal.SIGKILL)
        for each in all_of_them:
            await_gone(each)
