"""Tests that hang come to an end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from running import PATIENCE

HANGS = """
import threading

def test_that_waits_twice():
    try:
        threading.Event().wait()
    finally:
        threading.Event().wait()

def test_next():
    pass
"""


def test_a_test_that_waits_again_after_its_timeout_fails(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(HANGS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "timeouts", "--timeout=1", "test_it.py"]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed" in done.stdout
