"""`carboy status` and `carboy top` show jobs after responses and at intervals."""

from __future__ import annotations

import json
from typing import Any

import pytest

from admin_commands import Project, project
from carboy.cli.admin.status import command as status
from carboy.cli.admin.status import jobs
from carboy.cli.admin.top import command as top
from live_engine import eventually

__all__ = ["project"]

APP = """
import time
from pathlib import Path
from carboy import Carboy, after_response

app = Carboy(__name__)

def send_mail(number):
    while not Path("go").exists():
        time.sleep(0.01)

@app.get("/order")
def order():
    after_response(send_mail, 7)
    return "ok"

@app.every("1h")
def clean():
    pass
"""


def jobs_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for worker in found["workers"] for each in worker["jobs"]]


@pytest.mark.parametrize("how", [("--workers", "2"), ("--no-supervisor",)])
def test_jobs_are_shown_with_their_age_their_worker_and_their_place(
    project: Project, how: tuple[str, ...]
) -> None:
    (project.folder / "shop.py").write_text(APP)
    with project.serve(*how) as server:
        server.get("/order")
        eventually(lambda: len(jobs_of(project.value(status, "--timeout", "30"))) == 2)
        runs, planned = sorted(
            jobs_of(project.value(status, "--timeout", "30")), key=lambda each: each["every"] or 0
        )
        assert (runs["job"], runs["state"]) == ("send_mail after GET /order", "running")
        assert runs["seconds"] >= 0 and runs["at"]["function"] == "send_mail"
        assert (planned["job"], planned["state"], planned["every"]) == (
            "shop.clean",
            "planned",
            3600,
        )
        assert 0 < planned["next_in"] <= 3600
        for shown in (
            project.run(status, "--timeout", "30"),
            project.run(top, "--once", "--interval", "0.1"),
        ):
            assert "JOB" in shown and "send_mail after GET /order" in shown
            assert "shop.clean every 1 h" in shown
        (line,) = project.run(top, "--json", "--once", "--interval", "0.1").splitlines()
        assert len(jobs_of(json.loads(line))) == 2
        (project.folder / "go").touch()
        assert server.stop() == 0


def test_there_is_no_table_without_jobs() -> None:
    assert jobs({"workers": [{"pid": 1}, {"pid": 2, "jobs": [], "more_jobs": 0}]}) == []


def test_jobs_that_are_not_listed_are_counted() -> None:
    job = {
        "job": "mail",
        "state": "waiting",
        "seconds": 1.0,
        "every": None,
        "next_in": None,
        "at": None,
    }
    lines = jobs({"workers": [{"pid": 1, "jobs": [job], "more_jobs": 7}]})
    assert lines[1].split()[:4] == ["1.0", "s", "1", "waiting"] and lines[-1] == "… 7 more"
