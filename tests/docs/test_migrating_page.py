"""The page about migrating says what `carboy migrate` shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from carboy.cli.main import make_group

PAGE = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text()


def test_the_example_is_what_the_command_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = next(line for line in PAGE.splitlines() if "--timeout 60" in line)
    result = CliRunner().invoke(
        make_group(), ["migrate", command.partition("'")[2].rstrip("'")], catch_exceptions=False
    )
    shown = PAGE.partition("```text\n")[2].partition("```")[0]
    assert shown in result.output
