"""Tests are divided between the workers of pytest-xdist, and every result is reported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from running import PATIENCE
from scheduling import batches

TESTS = """
import os
from pathlib import Path
import pytest

def note(name):
    with Path(os.environ["PYTEST_XDIST_WORKER"]).open("a") as file:
        file.write(name)

@pytest.mark.parametrize("number", range(40))
def test_of_a_file(number):
    note("f")

@pytest.mark.xdist_group("together")
@pytest.mark.parametrize("number", range(20))
def test_of_a_group(number):
    note("g")

@pytest.fixture
def broken():
    yield
    raise OSError("torn down")

def test_with_a_broken_teardown(broken):
    pass

def test_that_fails():
    print("written before")
    assert 1 == 2

@pytest.mark.skip(reason="not here")
def test_that_is_skipped():
    pass

@pytest.mark.xfail
def test_that_is_expected_to_fail():
    raise ValueError
"""


def test_groups_stay_together_and_slow_folders_come_first() -> None:
    quick = [f"tests/http/test_a.py::test[{number}]" for number in range(5)]
    slow = ["tests/cli/test_b.py::test[a@b]", "tests/cli/test_b.py::test_2"]
    group = ["tests/cli/test_b.py::test_3@chromium", "tests/http/test_a.py::test[9]@chromium"]
    found = batches([*quick, group[0], *slow, group[1]], 3)
    assert list(found.values()) == [group, slow, quick[:3], quick[3:]]


def test_workers_share_the_tests_and_every_result_is_reported(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").touch()
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "scheduling", "-n2"]
    env = {"PYTHONPATH": str(Path(__file__).parent), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [*command, "--dist=loadgroup", "-rA"], cwd=tmp_path, env=env,
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 61 passed, 1 skipped, 1 xfailed, 1 error" in done.stdout
    for part in ("written before", "assert 1 == 2", "OSError: torn down", "not here"):
        assert part in done.stdout, part
    workers = [file.read_text() for file in sorted(tmp_path.glob("gw?"))]
    assert sorted(text.count("g") for text in workers) == [0, 20]
    assert sum(text.count("f") for text in workers) == 40
