"""Which ends of workers are reported, and how reports are written."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from carboy.server import machine
from carboy.server.crashes import folder, writer
from carboy.server.crashes.report import End, Evidence, Reason, report
from carboy.server.processes import crashes
from carboy.server.processes.crashes import reason_of
from carboy.server.processes.generations import Member, State

KILLED, ABORTED, EXITED = int(signal.SIGKILL), int(signal.SIGABRT), 1 << 8


def member(state: State, given_up: bool = False) -> Member:
    found = Member(5, 0.0, 0)
    found.state, found.given_up = state, given_up
    return found


@pytest.mark.parametrize(
    ("state", "given_up", "status", "stuck", "has_failed", "asked", "reason"),
    [
        (State.SERVING, False, KILLED, False, False, False, Reason.CRASH),
        (State.SERVING, False, 0, False, False, False, Reason.CRASH),
        (State.STOPPING, True, KILLED, True, False, True, Reason.STUCK),
        (State.STOPPING, False, 0, True, False, True, Reason.STUCK),
        (State.STOPPING, False, 0, False, False, True, None),
        (State.STOPPING, False, KILLED, False, False, True, None),
        (State.STOPPING, False, ABORTED, False, False, True, Reason.CRASH),
        (State.STARTING, False, ABORTED, False, False, False, Reason.FAILED_START),
        (State.STARTING, True, KILLED, False, False, False, Reason.START_TIMEOUT),
        (State.STARTING, False, EXITED, False, True, False, None),
    ],
)
def test_ends_that_were_not_asked_for_are_reported(
    state: State, given_up: bool, status: int, stuck: bool, has_failed: bool, asked: bool,
    reason: Reason | None,
) -> None:  # fmt: skip
    assert reason_of(member(state, given_up), status, stuck, has_failed, asked) is reason


def test_a_supervisor_that_cannot_make_a_report_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*args: object) -> None:
        raise ValueError("broken")

    monkeypatch.setattr(crashes, "evidence", broken)
    link: Any = None
    reports = crashes.CrashReports(tmp_path, 5)
    assert reports.evidence(link, 0.0) is None
    reports.ended(member(State.SERVING), KILLED, None, link, asked=False)
    assert not list(tmp_path.iterdir())


def end(status: int, oom_kills: int = 0) -> End:
    return End(5, status, 2.0, Reason.CRASH, "", Evidence([], "", None), "", oom_kills)


def test_a_report_says_that_memory_ran_out_when_the_kernel_has_ended_a_process() -> None:
    found = report(end(KILLED, oom_kills=1), "shop:app", "/srv")
    assert found["oom_kills"] == 1 and "memory ran out" in found["hints"][0]
    assert report(end(KILLED), "shop:app", "/srv")["hints"] == []


def test_a_report_says_where_the_core_dump_is() -> None:
    dumped = report(end(ABORTED | 0x80), "shop:app", "/srv")
    assert dumped["core"]["dumped"] and "core dump is" in dumped["hints"][0]
    assert not report(end(ABORTED), "shop:app", "/srv")["core"]["dumped"]


def test_the_newest_reports_are_kept_and_other_files_stay(tmp_path: Path) -> None:
    place = tmp_path / "a" / "crashes"
    names = [f"2026010{day}T000000Z-1" for day in range(1, 5)]
    for name in names[:3]:
        folder.write(place, name, b"{}", 2)
    (place / "notes.json").touch()
    folder.write(place, names[3], b"{}", 2)
    assert [path.stem for path in folder.paths(place)] == [names[3], names[2]]
    assert (place / "notes.json").exists()
    assert folder.paths(tmp_path / "missing") == []


def test_a_process_writes_the_report_and_says_why_it_could_not(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place, why in ((tmp_path / "crashes", ""), (tmp_path / "file", "File exists")):
        pid = writer.start(place, "20260101T000000Z-1", b"{}", 5, [signal.SIGTERM])
        assert writer.problem(os.waitpid(pid, 0)[1]).startswith(why)
        assert folder.paths(tmp_path / "crashes")
    assert writer.problem(errno.ENOSPC << 8) == "No space left on device"
    assert "has not answered" in writer.problem(int(signal.SIGALRM))


def test_the_count_of_processes_ended_for_memory_is_that_of_the_control_group(
    tmp_path: Path,
) -> None:
    (tmp_path / "cgroup").write_text("0::/app\n")
    group = tmp_path / "fs" / "app"
    group.mkdir(parents=True)
    (tmp_path / "mountinfo").write_text(f"30 20 0:26 / {tmp_path / 'fs'} rw - cgroup2 cgroup2 rw\n")
    assert machine.oom_kills(tmp_path) is None
    (group / "memory.events").write_text("low 0\noom 3\noom_kill 2\noom_group_kill 0\n")
    assert machine.oom_kills(tmp_path) == 2
