"""The command, the settings and the program of docs/deadlines.md, run as they are."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from carboy import time_limits
from documented import Page, plan_of
from live_engine import served

PAGE = Page("deadlines.md")


@pytest.fixture(autouse=True)
def own_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limits, "_declared", set())


COMMANDS = [each for each in PAGE.commands if "--request-timeout" in each]


@pytest.mark.parametrize("command", [*COMMANDS, "carboy run shop:app"])
def test_the_command_and_the_table_set_the_limit(
    tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.py").write_text("def app(environ, start_response): ...\n")
    if command == "carboy run shop:app":
        PAGE.write_table()
    plan = plan_of(command, monkeypatch)
    assert plan.settings.request_limits.request_timeout == 30


def test_the_program_answers_as_the_page_says(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program = tmp_path / "shop.py"
    program.write_text("# shop.py\n" + PAGE.programs["shop.py"])
    app: Any = runpy.run_path(str(program))["app"]
    with served(app) as live:
        assert live.get("/search").status == 503
        assert live.get("/pay").status == 504
        assert live.get("/invoice").status == 504
        assert live.get("/export").body == b"exported"
        assert live.get("/admin/").body == b"overview"
    assert "GET /search HTTP/1.1 is over its time limit of 0.5 s" in caplog.text
    assert f'File "{program}", line 15, in search\n    time.sleep(2)' in caplog.text


def test_the_command_for_overload_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.py").write_text("def app(environ, start_response): ...\n")
    plan = plan_of("carboy run shop:app --adaptive-limit --adaptive-exempt /up", monkeypatch)
    assert plan.settings.request_limits.adaptive_limit
    assert plan.settings.request_limits.adaptive_exempt == ("/up",)
    assert "carboy run shop:app --adaptive-limit" in PAGE.commands
