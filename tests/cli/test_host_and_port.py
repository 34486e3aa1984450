"""An impossible host or port is a usage error: exit code 2 before the application is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = {
    "run": ("-m", "carboy", "run", "missing"),
    "dev": ("-m", "carboy", "dev", "missing"),
    "flask": ("-m", "carboy.compat", "-m", "flask", "--app", "missing", "run"),
}
WRONG = [
    ("--port", "70000"), ("--port", "-1"), ("--port", "x"), ("--port", ""),
    ("--host", "nosuch.invalid"), ("--host", "a" * 70), ("--host", ".."),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_an_impossible_host_or_port_is_a_usage_error(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, *command, *wrong], cwd=tmp_path, stderr=subprocess.PIPE, text=True
        )
        for wrong in WRONG
    ]
    for process, wrong in zip(running, WRONG, strict=True):
        _, err = process.communicate(timeout=60)
        assert process.returncode == 2, (wrong, err)
        assert "Usage:" in err and "Traceback" not in err and f"'{wrong[0]}'" in err, (wrong, err)


def test_an_invalid_address_to_bind_is_a_usage_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "carboy", "run", "missing", "--bind", "x:99999"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "Usage:" in done.stderr and "Traceback" not in done.stderr
