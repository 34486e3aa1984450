"""The same calls of `flask.cli` on Carboy and on the real Flask; error texts may differ."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCENARIOS = Path(__file__).parent / "cli_scenarios.py"


def told(side: str, folder: Path) -> dict[str, Any]:
    folder.mkdir()
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("FLASK_", "CARBOY_"))}
    done = subprocess.run(
        [sys.executable, SCENARIOS, side, folder],
        capture_output=True,
        text=True,
        check=False,
        env=clean,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    return dict(lines)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    folder = tmp_path_factory.mktemp("cli")
    return told("carboy", folder / "ours"), told("flask", folder / "theirs")


def test_every_case_ends_as_in_flask(both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    ours, theirs = both
    assert len(theirs) > 100
    assert ours == theirs
