"""Compiled tests are those that pytest uses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import compile_tests
from running import PATIENCE

TEST = """
def test_it():
    left = 1
    assert left == 2
"""


def test_pytest_uses_the_compiled_test_and_shows_the_parts_of_its_assertion(
    tmp_path: Path,
) -> None:
    file, other, broken = (tmp_path / name for name in ("test_it.py", "other.py", "test_no.py"))
    file.write_text(TEST)
    other.write_text("NUMBER = 1\n")
    broken.write_text("def (")
    for each in (file, other, broken):
        compile_tests.compile_file(each)
    place = compile_tests.compiled_by_pytest(file)
    made = place.stat()
    assert not compile_tests.compiled_by_pytest(broken).exists()
    assert list((tmp_path / "__pycache__").glob("other.*.pyc"))
    compile_tests.compile_file(file)  # nothing to do
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_it.py"], cwd=tmp_path,
        env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, capture_output=True, text=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert "assert 1 == 2" in done.stdout
    assert place.stat().st_mtime_ns == made.st_mtime_ns
