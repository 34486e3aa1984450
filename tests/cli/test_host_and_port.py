"""An impossible host or port is a usage error: exit code 2 before the application is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

import ready_commands
from running import carboy

WRONG = [
    ("--port", "70000"), ("--port", "-1"), ("--port", "x"), ("--port", ""),
    ("--host", "nosuch.invalid"), ("--host", "a" * 70), ("--host", ".."),
]  # fmt: skip


@pytest.mark.parametrize("command", ["run", "dev"])
def test_an_impossible_host_or_port_is_a_usage_error(command: str, tmp_path: Path) -> None:
    for wrong in WRONG:
        done = ready_commands.run_here([command, "missing", *wrong], tmp_path)
        assert done.returncode == 2, (wrong, done.stderr)
        check(wrong, done.stderr)


def test_an_impossible_host_or_port_is_a_usage_error_of_flask_run(tmp_path: Path) -> None:
    for wrong in WRONG:
        done = ready_commands.flask("--app", "missing", "run", *wrong, cwd=tmp_path, env={})
        assert done.returncode == 2, (wrong, done.stderr)
        check(wrong, done.stderr)


def check(wrong: tuple[str, str], said: str) -> None:
    assert "Usage:" in said and "Traceback" not in said and f"'{wrong[0]}'" in said, (wrong, said)


def test_an_invalid_address_to_bind_is_a_usage_error(tmp_path: Path) -> None:
    said = carboy(tmp_path, "run", "missing", "--bind", "x:99999", code=2)
    assert "Usage:" in said and "Traceback" not in said
