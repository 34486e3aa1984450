"""Functions before and after serving, in the processes of `carboy run`."""

from __future__ import annotations

from pathlib import Path

import pytest

from running import Running

APP = """
import carboy

app = carboy.Carboy(__name__)


@app.while_serving
async def around():
    print("started", flush=True)
    yield
    print("ended", flush=True)


@app.get("/")
def index():
    return "served"
"""
FAILS = """
import carboy

app = carboy.Carboy(__name__)


@app.before_serving
async def connect():
    raise ConnectionError("no database at db:5432")
"""


def test_they_run_around_the_time_in_which_the_process_serves(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    with Running("run", "app:app", "--port", "0", "--no-supervisor", cwd=tmp_path) as server:
        assert server.get() == (200, b"served")
        assert server.stop() == 0
        assert server.out.count("started\n") == server.out.count("ended\n") == 1, server.text()


@pytest.mark.parametrize("options", [("--no-supervisor",), ("--workers", "2")])
def test_an_error_ends_the_start(options: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(FAILS)
    with Running("run", "app:app", "--port", "0", *options, cwd=tmp_path) as server:
        assert server.wait() == 1
        assert "The application failed to start: Traceback" in server.text()
        assert "no database at db:5432" in server.text()
