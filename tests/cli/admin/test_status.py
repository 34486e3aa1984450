"""`carboy status`: what runs, and which server is meant."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from admin_commands import Project, project
from carboy.cli.admin.status import command as status
from carboy.cli.admin.status import requests
from running import PATIENCE, Running, suspend

__all__ = ["project"]


def ask_for(server: Running, path: str) -> threading.Thread:
    """Have a request run."""
    thread = threading.Thread(target=server.get, args=(path,))
    thread.start()
    return thread


def until_busy(project: Project) -> dict[str, object]:
    """The request in flight, once its code runs."""
    for _ in range(1000):
        found = project.value(status, "--timeout", "30")
        listed = [each for worker in found["workers"] for each in worker["requests"]]
        if requests := [each for each in listed if each["at"]]:
            assert isinstance(requests[0], dict)
            return dict(requests[0])
    raise AssertionError("no request")


@pytest.mark.parametrize("how", [("--workers", "2"), ("--no-supervisor",)])
def test_requests_in_flight_are_shown_with_their_age_and_their_place(
    project: Project, how: tuple[str, ...]
) -> None:
    with project.serve(*how) as server:
        asking = ask_for(server, "/waits")
        request = until_busy(project)
        assert request["request"] == "GET /waits HTTP/1.1"
        assert request["at"]["function"] == "waits"  # type: ignore[index]
        shown = project.run(status)
        assert f"pid {server.pid}, serving" in shown and "GET /waits" in shown
        assert "shop:app on http://127.0.0.1:" in shown
        (project.folder / "go").touch()
        asking.join(PATIENCE)


def test_a_worker_that_does_not_answer_is_shown_with_what_it_has_written(project: Project) -> None:
    with project.serve() as server:
        worker = project.value(status)["workers"][0]["pid"]
        suspend(worker)
        found = project.value(status, "--timeout", "0.1")["workers"][0]
        assert not found["answers"] and found["failure"] == "It has not answered within 0.1 s."
        os.kill(worker, signal.SIGCONT)
        assert project.value(status, "--timeout", "30")["workers"][0]["answers"]
        assert server.stop() == 0


def test_the_socket_of_a_server_is_gone_when_it_has_ended(project: Project) -> None:
    with project.serve() as server:
        folder = project.folder / "carboy"
        assert [path.suffix for path in folder.glob("*.admin")] == [".admin"]
        assert not next(folder.glob("*.admin")).stat().st_mode & 0o077
        assert server.stop() == 0
    assert not list(folder.glob("*.admin"))
    assert "No Carboy server of this user runs for" in project.error(status)


def test_a_server_that_was_killed_is_not_found(project: Project) -> None:
    with project.serve() as server:
        server.send(signal.SIGKILL)
        server.wait()
    assert "No Carboy server of this user runs for" in project.error(status)


def test_one_of_several_servers_is_chosen_by_its_port_or_its_process(project: Project) -> None:
    with project.serve() as one, project.serve() as two:
        text = project.error(status)
        assert "2 servers run for" in text and f"--pid {one.pid}: shop:app on" in text
        port = str(two.address()[1])
        assert project.value(status, "--port", port)["server"]["pid"] == two.pid
        assert project.value(status, "--pid", str(one.pid))["server"]["pid"] == one.pid
        assert "with --pid 1." in project.error(status, "--pid", "1")


def test_servers_of_other_folders_are_named(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with project.serve() as server:
        elsewhere = project.folder / "elsewhere"
        elsewhere.mkdir()
        monkeypatch.chdir(elsewhere)
        text = project.error(status)
        assert f"--pid {server.pid}: shop:app on" in text and str(project.folder) in text
        assert project.value(status, "--pid", str(server.pid))["server"]["pid"] == server.pid


def test_a_server_at_a_path_is_asked_there(project: Project) -> None:
    with project.serve("--admin", "./here") as server:
        assert project.value(status, "--admin", "./here")["server"]["pid"] == server.pid
        assert "No Carboy server" in project.error(status)
        assert server.stop() == 0
    assert not Path("here").exists()


def test_a_server_at_a_port_is_asked_with_the_token_of_its_file(project: Project) -> None:
    with project.serve("--admin", "127.0.0.1:0") as server:
        place = server.line("Admin server at").split("Admin server at ")[1].split(";")[0]
        token = next((project.folder / "carboy").glob("port-*.token"))
        assert token.stat().st_mode & 0o777 == 0o600
        assert project.value(status, "--admin", place)["server"]["pid"] == server.pid
        token.unlink()
        assert "requires its token" in project.error(status, "--admin", place)


def test_a_server_without_an_admin_server_is_not_found(project: Project) -> None:
    with project.serve("--admin", "none"):
        assert "No Carboy server of this user runs for" in project.error(status)


def test_a_port_that_is_in_use_is_an_error_at_the_start(project: Project) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        with Running("run", "shop:app", "--port", "0", "--admin", place, cwd=project.folder,
                     env=project.env) as server:  # fmt: skip
            assert server.wait() == 1
            assert f"The address of --admin, {place}, is in use" in server.text()


def test_the_command_finds_the_server_as_a_user_types_it(project: Project) -> None:
    with (
        project.serve() as server,
        Running("status", "--json", cwd=project.folder, env=project.env) as asked,
    ):
        assert asked.wait() == 0, asked.text()
        assert f'"pid": {server.pid}' in asked.text()


@pytest.mark.parametrize("how", [("--workers", "2"), ("--no-supervisor",)])
def test_a_reload_keeps_the_admin_server(project: Project, how: tuple[str, ...]) -> None:
    with project.serve(*how) as server:
        before = project.value(status)
        workers = {each["pid"] for each in before["workers"]}
        server.send(signal.SIGHUP)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = project.invoke(status, "--json")
            if found.exit_code == 0:  # not while the only process becomes another program
                now = json.loads(found.output)
                fresh = {each["pid"] for each in now["workers"]}.isdisjoint(workers)
                if fresh or now["server"]["started"] > before["server"]["started"]:
                    break
        else:
            raise AssertionError("never reloaded")
        assert now["server"]["pid"] == server.pid


def test_a_request_that_waits_for_a_service_is_shown_with_its_name() -> None:
    request = {
        "request": "GET /pay HTTP/1.1",
        "state": "running",
        "seconds": 2.0,
        "at": {"file": "/srv/shop.py", "line": 12, "function": "pay"},
        "waits_for": "payments",
    }
    worker = {"pid": 7, "requests": [request], "answers": True, "state": "ready", "last_read": ""}
    assert requests({"workers": [worker]})[1].endswith("shop.py:12 pay, waiting for payments")
