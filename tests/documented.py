"""The programs, commands and settings that a page of the documentation has, for its test."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from carboy.cli import run
from carboy.cli.main import make_group
from carboy.server.processes.plan import Plan

DOCS = Path(__file__).parents[1] / "docs"


class Page:
    """A page; its programs have their names in the first line."""

    def __init__(self, name: str) -> None:
        self.text = (DOCS / name).read_text()
        self.programs = dict(
            re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", self.text, re.MULTILINE | re.DOTALL)
        )
        self.commands: list[str] = re.findall(r"^\$ (carboy run .*)$", self.text, re.MULTILINE)

    def write_table(self) -> None:
        """Write the first table of settings to pyproject.toml."""
        table = re.search(r"```toml\n(.*?)```", self.text, re.DOTALL)
        assert table is not None
        assert tomllib.loads(table[1])
        Path("pyproject.toml").write_text(table[1])


def plan_of(command: str, monkeypatch: Any) -> Plan:
    """The plan with which `carboy run` would start a server. The command has to be accepted."""
    plans: list[Plan] = []

    def start(plan: Plan, load: Any, banner: Any, commands: Any) -> int:
        plans.append(plan)
        return 0

    monkeypatch.setattr(run, "start", start)
    done = CliRunner().invoke(make_group(), shlex.split(command)[1:], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return plans[0]
