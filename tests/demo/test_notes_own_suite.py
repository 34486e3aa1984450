"""The tests of the demo pass when they are run in its folder."""

import os
import subprocess
import sys
from pathlib import Path

NOTES = Path(__file__).parents[2] / "examples" / "notes"


def test_the_demo_passes_its_own_suite(tmp_path: Path):
    without_ours = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    # The demo needs no plugins, and those of this environment take a second to load.
    alone = {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path}"],
        cwd=NOTES,
        env=without_ours | alone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
