"""Runs a script with Carboy and with the real packages, each in its own interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def clean() -> dict[str, str]:
    """The environment without variables that commands of other tests have set."""
    ours = ("FLASK_", "CARBOY_", "PYTHONPATH", "COV_", "PYTEST_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def told(side: str, script: str, *arguments: object, cwd: Path | None = None) -> Any:
    """The JSON that a script of this folder prints: `script SIDE arguments…`."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", HERE / script, side, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=clean(),
        cwd=cwd,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
