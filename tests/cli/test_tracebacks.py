"""Tracebacks for the terminal: the user's frames, colours, and no control characters."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from carboy.cli.tracebacks import FULL, coloured, traceback_text


def caught(function: Callable[[], object]) -> Exception:
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError("nothing raised")


def test_frames_of_libraries_are_left_out_and_counted() -> None:
    text = traceback_text(caught(lambda: json.loads("{bad")))
    assert "json/decoder.py" not in text
    assert text.endswith(f"(3 frames of libraries are left out; {FULL}=1 shows all.)\n")


def test_a_variable_shows_all_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FULL, "1")
    text = traceback_text(caught(lambda: json.loads("{bad")))
    assert "json/decoder.py" in text
    assert "left out" not in text


def test_frames_of_causes_and_groups_are_left_out_too() -> None:
    def fails() -> None:
        try:
            json.loads("{bad")
        except ValueError as error:
            raise ExceptionGroup("two", [error, ValueError("other")]) from error

    text = traceback_text(caught(fails))
    assert "json/decoder.py" not in text
    assert text.count("JSONDecodeError") == 2


def test_a_message_cannot_control_the_terminal() -> None:
    text = traceback_text(ValueError("\x1b[2Jgone\x07\x9b1m ü\n\tnext\r"))
    assert text == "ValueError: \\x1b[2Jgone\\x07\\x9b1m ü\n\tnext\\x0d\n"


def test_functions_that_call_each_other_are_folded() -> None:
    def even(number: int) -> None:
        odd(number - 1)

    def odd(number: int) -> None:
        even(number - 1)

    text = traceback_text(caught(lambda: even(1)))
    assert re.search(r"\n  \[The same 2 frames, \d{3} more times\]\n", text)
    assert text.count("\n") < 30


def test_colours_add_nothing_but_colours() -> None:
    def fails() -> None:
        try:
            {}["bread"]
        except KeyError as error:
            raise RuntimeError("two\nlines") from error

    text = traceback_text(caught(fails))
    shown = coloured(text)
    assert re.sub("\x1b\\[[0-9;]*m", "", shown) == text
    assert "\x1b[1;31mKeyError: 'bread'\x1b[0m\n" in shown
    assert f'File "\x1b[36m{__file__}\x1b[0m", line ' in shown
    assert "in \x1b[1mfails\x1b[0m\n" in shown
    assert re.search("\n +\x1b\\[31m~~\\^+\x1b\\[0m\n", shown)
