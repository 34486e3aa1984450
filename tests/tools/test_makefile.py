"""The Makefile: the examples that it serves."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*arguments: str) -> str:
    return subprocess.run(
        ["make", *arguments], cwd=TOP, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize(
    ("target", "folder", "command"),
    [("demo", "notes", "run notes:create_app"), ("chat", "chat", "run chat --workers 2")],
)
def test_an_example_is_served_on_the_port_that_is_asked_for(
    target: str, folder: str, command: str
) -> None:
    assert f"make {target} " in make("help")
    commands = make("--dry-run", target, "PORT=8123")
    assert f"cd examples/{folder} && " in commands
    assert f"{command} --port 8123" in commands
