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
"""


IDLE = """
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range(9))
def test_one_of_many(number, request):
    plugins = request.config.pluginmanager.get_plugins()
    worker = next(each for each in plugins if hasattr(each, "torun"))
    mark = Path("messages-are-lost")
    if not mark.exists():
        mark.touch()
        worker.torun.put = lambda item: None
"""


def run(folder: Path, tests: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs of pytest with the settings that these tests need, and with tests/timeouts.py."""
    (folder / "test_it.py").write_text(tests)
    (folder / "pytest.ini").touch()
    command = [sys.executable, "-m", "pytest", "-p", "timeout", "-p", "timeouts", *options]
    env = {"PYTHONPATH": str(Path(__file__).parent), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        command, cwd=folder, env=env,
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


def test_a_test_that_waits_again_after_its_timeout_fails(tmp_path: Path) -> None:
    done = run(tmp_path, HANGS, "--timeout=2")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed" in done.stdout


def test_a_worker_that_gets_no_further_test_ends_with_its_stacks(tmp_path: Path) -> None:
    done = run(tmp_path, IDLE, "-pxdist", "-n2", "--dist=loadgroup", "-o", "faulthandler_timeout=3")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Timeout (0:00:03)!" in done.stderr
    assert "in run_one_test" in done.stderr
    assert "crashed and worker restarting disabled" in done.stdout
