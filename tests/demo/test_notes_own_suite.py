"""The tests of the demo pass when they are run in its folder."""

import os
import subprocess
import sys
from pathlib import Path

NOTES = Path(__file__).parents[2] / "examples" / "notes"


def test_the_demo_passes_its_own_suite():
    without_ours = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"],
        cwd=NOTES,
        env={**without_ours, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
