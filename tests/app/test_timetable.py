"""`@app.every`: one worker of the machine runs the jobs, and another one takes over."""

from __future__ import annotations

import json
import os
import signal
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy import Blueprint, Carboy, current_app
from carboy.app.intervals import seconds_of
from carboy.app.timetable import Timetable
from carboy.net.worker_jobs import jobs
from live_engine import eventually
from running import PATIENCE, Running


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user, so that servers of the user have other locks."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def started(app: Carboy) -> Timetable:
    timetable = Timetable(app, app.every_jobs)
    timetable.start()
    return timetable


def ended() -> None:
    assert jobs().drain(PATIENCE) == []


@pytest.mark.parametrize(
    ("interval", "seconds"),
    [
        (5, 5.0),
        (0.5, 0.5),
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("1.5 h", 5400),
        ("2d", 172800),
    ],
)
def test_an_interval_has_many_forms(interval: float | str, seconds: float) -> None:
    assert seconds_of(interval) == seconds
    assert seconds_of(timedelta(seconds=seconds)) == seconds


@pytest.mark.parametrize(
    "interval", ["", "5", "m", "5x", "-5m", 0, -1, "0s", float("inf"), float("nan")]
)
def test_an_interval_that_cannot_be_is_refused(interval: Any) -> None:
    with pytest.raises(ValueError, match="interval"):
        seconds_of(interval)


@given(st.text(max_size=12))
def test_any_text_is_an_interval_or_refused(text: str) -> None:
    try:
        assert seconds_of(text) > 0
    except ValueError:
        pass


def test_jobs_run_again_and_again_also_after_an_error(caplog: pytest.LogCaptureFixture) -> None:
    app = Carboy("shop")
    runs = threading.Semaphore(0)

    @app.every(0.01)
    def fails() -> None:
        assert current_app.name == "shop"
        runs.release()
        raise ValueError("wrong")

    @app.every(timedelta(milliseconds=10))
    async def later() -> None:
        assert current_app.name == "shop"
        runs.release()

    started(app)
    for _ in range(6):
        assert runs.acquire(timeout=PATIENCE)
    ended()
    assert "fails failed. It runs again in 0.01 s." in caplog.text


def test_a_job_does_not_overlap_with_itself() -> None:
    app = Carboy("shop")
    running, most, runs = [0], [0], threading.Semaphore(0)
    go = threading.Event()

    @app.every(0.005)
    def slow() -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        runs.release()
        assert go.wait(PATIENCE)
        running[0] -= 1

    @app.every(0.005)
    def quick() -> None:
        runs.release()

    started(app)
    for _ in range(10):  # of the other job, while the first one runs
        assert runs.acquire(timeout=PATIENCE)
    go.set()
    for _ in range(10):
        assert runs.acquire(timeout=PATIENCE)
    ended()
    assert most == [1]


def test_two_timetables_of_one_application_do_not_run_at_the_same_time() -> None:
    app = Carboy("shop")
    runs: list[int] = []
    app.every(0.01)(lambda: runs.append(1))
    other = Carboy("shop")
    others: list[int] = []
    other.every(0.01)(lambda: others.append(1))
    other.root_path = app.root_path
    started(app)
    eventually(lambda: len(runs) > 2)
    started(other)
    eventually(lambda: len(runs) > 5)
    assert others == []
    ended()


def test_a_job_is_due_after_its_interval_counted_from_its_last_run(folder: Path) -> None:
    app = Carboy("shop")
    ran = threading.Event()
    app.every("1h")(ran.set)
    first = Timetable(app, app.every_jobs)
    assert first._lock.acquire(threading.Event())
    first._plan()
    (name, noted), *_ = first._lock.read().items()
    first._lock.write({name: noted - 3601})  # another worker ran it an hour ago
    first._lock.release()
    started(app)
    assert ran.wait(PATIENCE)
    ended()


def test_a_job_can_run_at_the_start() -> None:
    app = Carboy("shop")
    ran = threading.Event()
    app.every("1h", at_start=True)(ran.set)
    started(app)
    assert ran.wait(PATIENCE)
    ended()


def test_damaged_content_of_the_file_counts_as_empty(folder: Path) -> None:
    app = Carboy("shop")
    app.every("1h")(print)
    timetable = Timetable(app, app.every_jobs)
    assert timetable._lock.acquire(threading.Event())
    for text in (b"", b"[1]", b"{", b'{"a": "b"}', b"\xff"):
        os.ftruncate(timetable._lock._fd, 0)
        os.pwrite(timetable._lock._fd, text, 0)
        assert timetable._lock.read() == {}
    timetable._lock.release()


def test_a_blueprint_has_jobs() -> None:
    app, blueprint = Carboy("shop"), Blueprint("one", "one")
    blueprint.every("5m")(print)
    app.register_blueprint(blueprint)
    assert [(each[0], each[1]) for each in app.every_jobs] == [(print, 300.0)]


def test_jobs_do_not_run_under_a_test_client() -> None:
    app = Carboy("shop")
    ran = threading.Event()
    app.every(0.001, at_start=True)(ran.set)
    with app.test_app() as test_app:
        test_app.test_client().get("/")
        assert not any(each.name == "carboy-every" for each in threading.enumerate())
    assert not ran.is_set()


APP = """
import os
from pathlib import Path
from carboy import Carboy

app = Carboy(__name__)
log = Path("runs")

@app.every(0.02, at_start=True)
def job():
    with log.open("a") as file:
        file.write(f"{os.getpid()}\\n")

@app.get("/")
def view():
    return str(os.getpid())
"""


def pids(folder: Path) -> list[int]:
    try:
        return [int(line) for line in (folder / "runs").read_text().split()]
    except (FileNotFoundError, ValueError):
        return []


def ran_more(folder: Path, count: int = 3) -> list[int]:
    """Wait for further runs; returns their processes."""
    before = len(pids(folder))
    eventually(lambda: len(pids(folder)) >= before + count)
    return pids(folder)[before:]


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_another_worker_takes_over(folder: Path, sent: signal.Signals) -> None:
    (folder / "app.py").write_text(APP)
    env = {"XDG_RUNTIME_DIR": str(folder)}
    with Running("run", "--port", "0", "-w", "2", cwd=folder, env=env) as server:
        server.address()
        (leader,) = set(ran_more(folder))
        os.kill(leader, sent)
        eventually(lambda: pids(folder)[-1] != leader)
        (other,) = set(ran_more(folder))
        assert other != leader
        server.send(signal.SIGHUP)
        server.line("All workers have been replaced")
        eventually(lambda: pids(folder)[-1] != other)
        assert len(set(ran_more(folder))) == 1
        assert server.stop() == 0


def test_a_stop_ends_the_jobs(folder: Path) -> None:
    (folder / "app.py").write_text(APP)
    env = {"XDG_RUNTIME_DIR": str(folder)}
    with Running("run", "--port", "0", "--no-supervisor", cwd=folder, env=env) as server:
        server.address()
        ran_more(folder)
        assert server.stop() == 0
        before = pids(folder)
    assert pids(folder) == before
    (kept,) = (folder / "carboy").glob("every-*.json")
    assert list(json.loads(kept.read_text())) == ["app.job"]
