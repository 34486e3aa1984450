"""The programs of docs/asgi.md run, and its tables are those of the command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from running import Running

PAGE = (Path(__file__).parents[2] / "docs" / "asgi.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def write(folder: Path) -> None:
    for number, program in enumerate(PROGRAMS):
        named = re.match(r"# (\w+\.py)\n", program)
        text = program.replace("port=8000", "port=0")
        (folder / (named[1] if named else f"program{number}.py")).write_text(text)


def test_the_first_application_is_served(tmp_path: Path) -> None:
    write(tmp_path)
    with Running("run", "shop:app", "--port", "0", cwd=tmp_path) as server:
        assert server.get() == (200, b"Hello, World!")


def test_the_program_that_serves_it_runs(tmp_path: Path) -> None:
    write(tmp_path)
    with Running(cwd=tmp_path, command=("program1.py",)) as server:
        assert server.get() == (200, b"Hello, World!")


def test_the_framework_is_served(tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    write(tmp_path)
    options = ("--port", "0", "--workers", "2")
    with Running("run", "api:app", *options, cwd=tmp_path) as server:
        assert server.get("/hello/Ann") == (200, b'{"text":"Hello, Ann!"}')


def test_the_mounted_applications_are_served(tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    write(tmp_path)
    options = ("--port", "0", "--no-supervisor")
    with Running("run", "whole:app", *options, cwd=tmp_path) as server:
        assert server.get("/") == (200, b"Hello, World!")
        assert server.get("/api/hello/Ann") == (200, b'{"text":"Hello, Ann!"}')
