"""`carboy run` and `carboy dev` on a Python without the modules that only POSIX systems have."""

from __future__ import annotations

from pathlib import Path

import pytest

from running import Running

SCRIPT = str(Path(__file__).parents[1] / "without_posix.py")
APP = """
import carboy
app = carboy.Flask(__name__)

@app.get("/")
def index():
    return "old"

@app.get("/fails")
def fails():
    return 1 / 0
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def started(folder: Path, *args: str) -> Running:
    return Running(*args, cwd=folder, command=(SCRIPT,))


def test_carboy_run_serves(folder: Path) -> None:
    with started(folder, "run", "app:app", "-b", "127.0.0.1:0") as server:
        server.line("every module is there")
        assert server.get() == (200, b"old")


def test_carboy_dev_serves_saved_files_and_shows_errors(folder: Path) -> None:
    with started(folder, "dev", "app:app", "-p", "0", "--no-warm") as server:
        assert server.get() == (200, b"old")
        (folder / "app.py").write_text(APP.replace("old", "a new one"))
        server.line("every module is there", 3)  # the third process: the new code
        assert server.get() == (200, b"a new one")
        status, page = server.get("/fails")
        assert status == 500
        assert b"ZeroDivisionError" in page


def test_carboy_explain_says_that_values_cannot_be_followed(folder: Path) -> None:
    with started(folder, "explain", "app:app", "GET", "/", "--follow", "path") as program:
        assert program.wait() == 2
        assert "Leave --follow out." in program.text()
