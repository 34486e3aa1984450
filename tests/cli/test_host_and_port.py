"""An impossible host or port is a usage error: exit code 2 before the application is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from running import carboy

FLASK = ("-m", "carboy.compat", "-m", "flask", "--app", "missing", "run")
WRONG = [
    ("--port", "70000"), ("--port", "-1"), ("--port", "x"), ("--port", ""),
    ("--host", "nosuch.invalid"), ("--host", "a" * 70), ("--host", ".."),
]  # fmt: skip


@pytest.mark.parametrize("command", ["run", "dev"])
def test_an_impossible_host_or_port_is_a_usage_error(command: str, tmp_path: Path) -> None:
    for wrong in WRONG:
        check(wrong, carboy(tmp_path, command, "missing", *wrong, code=2))


def test_an_impossible_host_or_port_is_a_usage_error_of_flask_run(tmp_path: Path) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, *FLASK, *wrong], cwd=tmp_path, stderr=subprocess.PIPE, text=True
        )
        for wrong in WRONG
    ]
    for process, wrong in zip(running, WRONG, strict=True):
        _, err = process.communicate(timeout=60)
        assert process.returncode == 2, (wrong, err)
        check(wrong, err)


def check(wrong: tuple[str, str], said: str) -> None:
    assert "Usage:" in said and "Traceback" not in said and f"'{wrong[0]}'" in said, (wrong, said)


def test_an_invalid_address_to_bind_is_a_usage_error(tmp_path: Path) -> None:
    said = carboy(tmp_path, "run", "missing", "--bind", "x:99999", code=2)
    assert "Usage:" in said and "Traceback" not in said
