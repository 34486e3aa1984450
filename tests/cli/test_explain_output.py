"""The last lines of a server that failed, from outputs written by hand."""

from __future__ import annotations

from pathlib import Path

import click

from carboy.cli.explain_output import last_lines

LIBRARY = f'  File "{click.__file__}", line 7, in call\n    given()\n'


def output(tmp_path: Path, *frames: str) -> str:
    own = f'  File "{tmp_path}/mine.py", line 3, in made\n    1 / 0\n    ~~^~~\n'
    shown = "".join(own if frame == "own" else LIBRARY for frame in frames)
    return f"Serving.\nTraceback (most recent call last):\n{shown}ZeroDivisionError: zero\n\nBye.\n"


def test_a_traceback_has_the_frames_of_the_application_only(tmp_path: Path) -> None:
    text = last_lines(output(tmp_path, "library", "library", "own", "library"))
    assert text == f"\n{output(tmp_path, 'own').rstrip()}"


def test_a_traceback_of_libraries_is_kept(tmp_path: Path) -> None:
    assert last_lines(output(tmp_path, "library")) == f"\n{output(tmp_path, 'library').rstrip()}"


def test_only_the_last_lines_are_kept() -> None:
    lines = [f"line {number}" for number in range(30)]
    assert last_lines("\n".join(lines)) == "".join(f"\n{line}" for line in lines[-12:])
    assert last_lines("\n \n") == ""
