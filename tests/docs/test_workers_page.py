"""The commands and the hooks of docs/workers.md, run as they are."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from documented import Page, plan_of
from running import Running

PAGE = Page("workers.md")
APP = """
import os

def app(environ, start_response):
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.py").write_text(APP)
    (tmp_path / "shop_hooks.py").write_text(PAGE.programs["shop_hooks.py"])
    return tmp_path


def test_the_page_has_commands() -> None:
    assert len(PAGE.commands) >= 4


@pytest.mark.parametrize("command", PAGE.commands)
def test_the_commands_are_accepted(
    folder: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(command, monkeypatch)
    assert plan.is_supervised()


def test_the_hooks_of_the_page_are_called(folder: Path) -> None:
    with Running("run", "shop:app", "--hooks", "shop_hooks", "-p", "0", cwd=folder) as server:
        worker = int(server.get()[1])
        os.kill(worker, signal.SIGKILL)
        server.line(f"Worker {worker} was killed by SIGKILL")
        server.line("It was running:")
        assert server.stop() == 0
