"""Reports of workers that have crashed, and `carboy crashes`."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from admin_commands import Project, project
from carboy.cli.admin.crashes import command as crashes
from carboy.cli.admin.status import command as status
from carboy.server.crashes import folder
from running import PATIENCE, Running

__all__ = ["project"]

STATE = ("--state", "state")


def until_reported(project: Project, count: int) -> list[dict[str, Any]]:
    """The reports, when there are so many."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found: list[dict[str, Any]] = project.value(crashes, *STATE)
        if len(found) >= count:
            return found
        time.sleep(0.02)  # nothing else tells that a file was written
    raise AssertionError(f"not {count} reports")


@pytest.fixture
def crashing(project: Project) -> Project:
    with (project.folder / "shop.py").open("a") as file:
        file.write(END)
    return project


END = """
@app.get("/end/<int(signed=True):number>")
def end(number):
    os._exit(number) if number > 0 else os.kill(os.getpid(), -number)
    threading.Event().wait()
"""


def ask(server: Running, path: str) -> None:
    """A request that gets no response."""
    connection = http.client.HTTPConnection(*server.address(), timeout=PATIENCE)
    try:
        connection.request("GET", path)
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return
    finally:
        connection.close()
    raise AssertionError("There is a response.")


def test_a_worker_that_crashes_leaves_a_report_that_only_the_user_can_read(
    crashing: Project,
) -> None:
    with crashing.serve(*STATE) as server:
        worker = crashing.value(status)["workers"][0]["pid"]
        ask(server, f"/end/{-signal.SIGABRT}")
        found = until_reported(crashing, 1)[0]
        assert (found["reason"], found["signal"], found["exit_code"]) == ("crash", "SIGABRT", None)
        assert found["worker"] == worker and found["server"] == server.pid
        assert found["application"] == "shop:app" and found["lived"] > 0
        assert found["memory"] > 1024 * 1024
        asked = [each["request"] for each in found["requests"]] + [found["last_read"]]
        assert f"GET /end/{-signal.SIGABRT} HTTP/1.1" in asked
        assert 'shop.py", line' in found["stacks"] and "in end" in found["stacks"]
        assert {"dumped", "pattern", "limit"} <= found["core"].keys()
        place = crashing.folder / "state" / "crashes"
        assert place.stat().st_mode & 0o777 == 0o700
        assert (place / f"{found['id']}.json").stat().st_mode & 0o777 == 0o600

        text = crashing.run(crashes, *STATE)
        assert "SIGABRT" in text and str(worker) in text and "shop:app" in text
        for name in ("1", found["id"]):
            text = crashing.run(crashes, name, *STATE)
            assert f"Worker {worker} of shop:app was killed by SIGABRT" in text
            assert "Requests in flight:" in text and "in end" in text
            assert crashing.value(crashes, name, *STATE) == found
        text = crashing.error(crashes, "7", *STATE)
        assert "There is no crash report 7; there is 1 report." in text


def test_the_newest_reports_are_kept_up_to_a_number(crashing: Project) -> None:
    with crashing.serve(*STATE, "--crash-reports", "1") as server:
        for code in (3, 4):
            ask(server, f"/end/{code}")
            server.line(f"exited with code {code}")
        end = time.monotonic() + PATIENCE
        while [each["exit_code"] for each in crashing.value(crashes, *STATE)] != [4]:
            assert time.monotonic() < end
            time.sleep(0.02)
        assert "exit code 4" in crashing.run(crashes, *STATE)


@pytest.mark.parametrize("how", ["no folder", "none wanted"])
def test_a_server_without_reports_goes_on(crashing: Project, how: str) -> None:
    (crashing.folder / "file").touch()
    more = ("--state", "file") if how == "no folder" else (*STATE, "--crash-reports", "0")
    with crashing.serve(*more) as server:
        if how == "no folder":
            ask(server, "/end/3")
            server.line("Crash reports cannot be written to")
        ask(server, "/end/4")
        server.line("exited with code 4")
        assert server.get("/")[1] == b"hello"
        assert server.stop() == 0
        count = sum("Crash reports cannot be written" in line for line in server.err)
        assert count == (how == "no folder")
    assert not (crashing.folder / "state").exists()


def test_a_stuck_worker_that_is_ended_leaves_a_report(project: Project) -> None:
    with project.serve(*STATE, "--worker-timeout", "1") as server:
        asking = threading.Thread(target=ask, args=(server, "/lock"))
        asking.start()
        found = until_reported(project, 1)[0]
        assert (found["reason"], found["signal"]) == ("stuck", "SIGKILL")
        assert "holds the interpreter lock" in found["how"] and "in lock" in found["stacks"]
        assert "stuck" in project.run(crashes, *STATE)
        assert "was stuck" in project.run(crashes, "1", *STATE)
        asking.join(PATIENCE)


def test_a_worker_that_is_told_to_end_leaves_no_report(project: Project) -> None:
    with project.serve(*STATE) as server:
        os.kill(project.value(status)["workers"][0]["pid"], signal.SIGTERM)
        server.line("was told to stop")
        assert server.get("/")[1] == b"hello"
        assert server.stop() == 0
    assert "There are no crash reports in" in project.run(crashes, *STATE)


def test_a_damaged_report_is_named_and_the_others_are_shown(tmp_path: Path) -> None:
    place = tmp_path / "crashes"
    good = {"id": "20260101T000000Z-5"}
    folder.write(place, good["id"], json.dumps(good).encode(), 5)
    folder.write(place, "20260101T000000Z-6", b"{", 5)
    found = CliRunner().invoke(crashes, ["--state", str(tmp_path)], catch_exceptions=False)
    assert found.exit_code == 0
    for number in (5, 6):
        assert f"20260101T000000Z-{number}.json is not a crash report. Remove it." in found.output
    for number in ("1", "2"):
        found = CliRunner().invoke(crashes, [number, "--state", str(tmp_path)])
        assert found.exit_code == 1 and "is not a crash report" in found.output
