"""The console of the debugger: what is typed into it, and how it is stopped."""

from __future__ import annotations

import html
import re
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest

import carboy
from carboy.dev.debugger import console as consoles
from carboy.dev.debugger.console import Console
from carboy.dev.debugger.contexts import Contexts
from running import PATIENCE


def answers(console: Console, code: str) -> str:
    """The text that the console shows for a line, without the line."""
    shown = html.unescape(re.sub("<[^>]+>", "", console.eval(code)))
    return shown.partition(f"{code.rstrip()}\n")[2].strip()


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("x = 1\ny = 2\nx + y", "3"),
        ("def double(n):\n    return 2 * n\ndouble(3)", "6"),
        ("1\n'two'", "1\n'two'"),
        ("import asyncio\nawait asyncio.sleep(0, 5)", "5"),
        ("async def f():\n    return 7\nx = await f()\nx", "7"),
        ("[n async for n in g()] if 0 else 8", "8"),
        ("print('\\udcff')", "\\udcff"),
        ("'" + "0+" * 50_000, "SyntaxError"),
        ("0+" * 50_000 + "0", "RecursionError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("exit()", "RuntimeError: The console cannot end the server."),
        ("input('name')", "EOFError: The console has no input to read."),
        ("return 5", "SyntaxError: 'return' outside function"),
    ],
    ids=lambda text: text[:20],
)
def test_input_is_run_as_in_a_terminal(code: str, shown: str) -> None:
    answer = answers(Console(), code).encode("utf-8", "backslashreplace").decode()
    assert shown in answer
    assert "another exception" not in answer


def test_names_of_a_frame_are_not_replaced() -> None:
    console = Console({"_": len}, {"dump": 1, "exit": 2})
    assert answers(console, "dump") == "1"
    assert answers(console, "exit") == "2"
    assert answers(console, "_([1])") == "1"
    assert answers(Console(), "5\n_ + 1") == "5\n6"


def test_long_output_is_cut() -> None:
    shown = Console().eval("for n in range(30_000): print('abc', n)\n1/0")
    assert len(shown) < 2 * consoles.OUTPUT_MOST
    assert "more characters" in shown
    assert shown.index("more characters") < shown.index("ZeroDivisionError")


def test_incomplete_input_is_forgotten_when_it_is_stopped() -> None:
    console = Console()
    answers(console, "'''begun")
    assert console.is_open
    assert not console.stop()
    assert not console.is_open
    assert answers(console, "1 + 1") == "2"


def test_contexts_that_fail_do_not_hide_the_answer() -> None:
    @contextmanager
    def fails_again() -> Any:
        yield
        raise RuntimeError("torn down")

    console = Console()
    console.contexts = Contexts(fails_again())
    assert answers(console, "1 + 1") == "2"


class Stopping:
    """A line that runs in a console, in another thread."""

    def __init__(self, console: Console, code: str) -> None:
        self.console = console
        self.shown: list[str] = []
        self.thread = threading.Thread(target=lambda: self.shown.append(answers(console, code)))
        self.thread.start()

    def stop(self) -> str:
        """Stop the line, and return what the console shows."""
        deadline = time.monotonic() + PATIENCE
        while self.thread.is_alive():
            self.console.stop()
            assert time.monotonic() < deadline
            self.thread.join(0.02)
        return self.shown[0]


def with_loop_of_the_application(console: Console) -> None:
    class Context:
        app = carboy.Flask("scenario")

        def __enter__(self) -> None: ...

        def __exit__(self, *error: object) -> None: ...

    console.contexts = Contexts(Context())


@pytest.mark.parametrize("prepare", [lambda console: None, with_loop_of_the_application])
@pytest.mark.parametrize("body", ["await asyncio.sleep(1000)", "while True: pass"])
def test_code_that_awaits_is_stopped(body: str, prepare: Callable[[Console], None]) -> None:
    console = Console()
    prepare(console)
    answers(console, f"import asyncio\nasync def f():\n    {body}")
    assert "KeyboardInterrupt" in Stopping(console, "await f()").stop()
    assert answers(console, "await asyncio.sleep(0, 3)") == "3"


def test_values_that_take_long_to_show_are_stopped() -> None:
    class Slow:
        def __repr__(self) -> str:
            while True:
                pass

    console = Console()
    shown: list[str] = []
    thread = threading.Thread(target=lambda: shown.append(console.show({"slow": Slow()})))
    thread.start()
    deadline = time.monotonic() + PATIENCE
    while thread.is_alive():
        console.stop()
        assert time.monotonic() < deadline
        thread.join(0.02)
    assert "KeyboardInterrupt" in shown[0]


def test_a_console_waits_for_another_one_of_the_same_request_and_can_be_stopped() -> None:
    one, other = Console(), Console()
    one.contexts = other.contexts = Contexts()
    runs = Stopping(one, "while True: pass")
    while not one.place():
        pass
    assert "did not run" in Stopping(other, "1 + 1").stop()
    assert other.completion("prin").found == ("print(",)  # without waiting for the code
    assert "KeyboardInterrupt" in runs.stop()
    assert answers(other, "1 + 1") == "2"


def test_a_completion_that_takes_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consoles, "PATIENCE", 0.1)

    class Endless:
        def __getattr__(self, name: str) -> Any:
            while True:
                pass

    assert Console({"endless": Endless()}).completion("endless.a.b").found == ()
