"""The commands to a running server, and crash reports, under `carboy dev`."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from admin_commands import Project, project
from carboy.cli.admin.crashes import command as crashes
from carboy.cli.admin.drain import command as drain
from carboy.cli.admin.memory import command as memory
from carboy.cli.admin.profiles.command import command as profile
from carboy.cli.admin.reload import command as reload
from carboy.cli.admin.scale import command as scale
from carboy.cli.admin.stacks import command as stacks
from carboy.cli.admin.status import command as status
from carboy.cli.admin.top import command as top
from carboy.server.processes.development import calls_of_the_fault
from live_engine import eventually
from running import PATIENCE, Running

__all__ = ["project"]


@pytest.fixture
def server(project: Project) -> Iterator[Running]:
    env = {**project.env, "XDG_STATE_HOME": str(project.folder / "state")}
    with Running("dev", "shop:app", "--port", "0", cwd=project.folder, env=env) as running:
        running.address()
        yield running


def worker_of(project: Project) -> int:
    """The worker, once it serves."""
    for _ in range(1000):
        workers = project.value(status, "--timeout", "30")["workers"]
        if len(workers) == 1 and workers[0].get("answers") and workers[0]["state"] == "serving":
            return int(workers[0]["pid"])
    raise AssertionError("no worker")


def test_commands_work_against_a_development_server(project: Project, server: Running) -> None:
    worker = worker_of(project)
    asking = threading.Thread(target=server.get, args=("/waits",))
    asking.start()
    server.line("waits now")
    shown = project.run(status, "--timeout", "30")
    assert f"pid {server.pid}, serving" in shown and "GET /waits" in shown
    assert "shop:app on http://127.0.0.1:" in shown and "shop.py" in shown
    assert project.value(status, "--timeout", "30")["workers"][0]["busy"] == 1
    assert "GET /waits" in project.run(stacks, "--timeout", "30")
    assert "waits" in project.run(profile, "200ms", "--timeout", "30")
    assert f"Worker {worker}" in project.run(memory, "--timeout", "60")
    (project.folder / "go").touch()
    asking.join(PATIENCE)
    (line,) = project.run(top, "--once", "--json", "--interval", "0.1").splitlines()
    found = json.loads(line)
    assert found["counted"] and [each["route"] for each in found["routes"]] == ["/waits"]
    assert "always has one worker" in project.error(scale, "2")
    assert "Use `carboy reload` instead" in project.error(drain, str(worker))
    project.run(reload)
    assert worker_of(project) != worker


@pytest.fixture
def cold(project: Project) -> Iterator[Running]:
    with Running(
        "dev", "shop:app", "--port", "0", "--no-warm", cwd=project.folder, env=project.env
    ) as running:
        running.address()
        until_answered(project)
        yield running


def until_answered(project: Project) -> None:
    """Wait for the admin server, which starts beside the banner."""
    eventually(lambda: project.invoke(status, "--timeout", "30").exit_code == 0)


def test_commands_work_without_fork(project: Project, cold: Running) -> None:
    asking = threading.Thread(target=cold.get, args=("/waits",))
    asking.start()
    cold.line("waits now")
    shown = project.run(status, "--timeout", "30")
    assert "shop:app on http://127.0.0.1:" in shown and "GET /waits" in shown
    assert "GET /waits" in project.run(stacks, "--timeout", "30")
    assert "waits" in project.run(profile, "200ms", "--timeout", "30")
    (project.folder / "go").touch()
    asking.join(PATIENCE)
    (line,) = project.run(top, "--once", "--json", "--interval", "0.1").splitlines()
    assert [each["route"] for each in json.loads(line)["routes"]] == ["/waits"]
    assert "always one worker" in project.error(scale, "2")


def test_a_reload_without_fork_starts_another_process(project: Project, cold: Running) -> None:
    before = project.value(status, "--timeout", "30")["server"]["pid"]
    project.run(reload)
    cold.line("reloaded in")
    until_answered(project)
    assert project.value(status, "--timeout", "30")["server"]["pid"] != before


def test_a_reload_is_refused_by_a_server_that_does_not_reload(project: Project) -> None:
    how = ("dev", "shop:app", "--port", "0", "--no-warm", "--no-reload")
    with Running(*how, cwd=project.folder, env=project.env) as server:
        server.address()
        until_answered(project)
        assert "was started with --no-reload" in project.error(reload)
        assert server.stop(signal.SIGINT) == 0
        assert not list((project.folder / "carboy").glob("*.admin"))


def test_a_worker_that_is_killed_leaves_a_report_with_its_requests(
    project: Project, server: Running
) -> None:
    worker = worker_of(project)
    asking = threading.Thread(target=_gone, args=(server,))
    asking.start()
    server.line("waits now")
    os.kill(worker, signal.SIGSEGV)
    server.line("was killed by SIGSEGV")
    server.line("`carboy crashes 1` shows the stacks of all threads.")
    state = str(project.folder / "state" / "carboy")
    eventually(lambda: project.value(crashes, "--state", state))
    (report,) = project.value(crashes, "--state", state)
    assert (report["worker"], report["signal"]) == (worker, "SIGSEGV")
    assert report["application"] == "shop:app" and "waits" in report["stacks"]
    seen = [each["request"] for each in report["requests"]] + [report["last_read"]]
    assert any(each.startswith("GET /waits") for each in seen)
    (project.folder / "go").touch()
    asking.join(PATIENCE)


def _gone(server: Running) -> None:
    """Ask for a response that does not come."""
    try:
        server.get("/waits")
    except OSError:
        pass


def test_no_report_is_written_when_the_code_is_replaced(project: Project, server: Running) -> None:
    worker = worker_of(project)
    (project.folder / "shop.py").write_text((project.folder / "shop.py").read_text() + "\n")
    eventually(lambda: worker_of(project) != worker)
    assert server.stop() == 0
    assert not list(project.folder.glob("state/**/*.json"))


def test_the_terminal_shows_the_calls_of_the_thread_that_has_failed() -> None:
    calls = "".join(f'  File "f.py", line {n} in f{n}\n' for n in range(20))
    stacks = (
        f"Fatal Python error\n\nThread 1:\n  one\n\nCurrent thread 2 (x):\n{calls}\nThread 3:\n"
    )
    shown = calls_of_the_fault(stacks)
    assert shown.startswith("\nCurrent thread 2") and "f7" in shown
    assert "f8" not in shown and "Thread 1" not in shown
    assert calls_of_the_fault("") == calls_of_the_fault("Thread 1:\n  one\n") == ""
