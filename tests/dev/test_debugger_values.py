"""Values, consoles and tracebacks of the debugger; the markup of values is Werkzeug's."""

from __future__ import annotations

import json
import re
import sys
import traceback
from collections import OrderedDict, defaultdict, deque
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jinja2
import pytest
import werkzeug.debug.console
import werkzeug.debug.repr
import werkzeug.debug.tbtools
from hypothesis import given
from hypothesis import strategies as st

import carboy.dev.debugger.console
import carboy.dev.debugger.repr
import carboy.dev.debugger.tbtools

OURS, THEIRS = carboy.dev.debugger, werkzeug.debug


class Broken:
    def __repr__(self) -> str:
        raise ValueError("<broken>")


class Sequence(list[int]):
    pass


class Text(str):
    __slots__ = ()


def recursive() -> list[Any]:
    values: list[Any] = [1]
    values.append(values)
    return values


def recursive_dict() -> dict[str, Any]:
    values: dict[str, Any] = {}
    values["self"] = values
    return values


VALUES = [
    "text", b"octets", "<&>\"'ü", 1, 1.5, True, None, 1j, [], [1, None, "C"], (1,), (), {1, 2},
    frozenset([1]), set(), {}, {"foo": 42, 1: 23}, list(range(8)), list(range(20)),
    dict.fromkeys(range(20)), deque([1, 2]), deque(range(12)), OrderedDict(a=1),
    defaultdict(list, {"a": [1]}), re.compile(r"foo\d"), re.compile(b"x", re.IGNORECASE),
    recursive(), recursive_dict(), Sequence([1]), Text("q"), Broken(), [Broken()], "x" * 69,
    "x" * 70, "x" * 71, "x" * 100, b"y" * 100, [["z" * 90]], "a\nb", len, int, object, range(3),
    Exception("x"), Ellipsis,
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_is_shown_as_by_werkzeug(value: Any) -> None:
    assert OURS.repr.debug_repr(value) == THEIRS.repr.debug_repr(value)


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=90) | st.binary(max_size=90)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=10)
        | st.dictionaries(st.text(max_size=5), inner, max_size=7)
        | st.tuples(inner, inner)
    ),
    max_leaves=20,
)


@given(TREES)
def test_any_value_is_shown_as_by_werkzeug(value: Any) -> None:
    assert OURS.repr.debug_repr(value) == THEIRS.repr.debug_repr(value)


def test_a_pattern_cannot_add_markup_to_the_page() -> None:
    """Werkzeug shows such a value as a whole."""
    assert "<b>" not in OURS.repr.debug_repr(re.compile("<b>"))


@contextmanager
def collected(module: Any) -> Any:
    before, sys.stdout = sys.stdout, module.HTMLStringO()
    try:
        yield sys.stdout
    finally:
        sys.stdout = before


def dumped(side: Any, value: Any) -> str:
    with collected(side.console) as out:
        side.repr.dump(value)
        return str(out.reset())


class Plain:
    def __init__(self) -> None:
        self.x = 42


THING = Plain()


@pytest.mark.parametrize(
    "value", [{"a": 1, "b": "<"}, {}, THING, 5, [1]], ids=lambda v: type(v).__name__
)
def test_an_object_is_dumped_as_by_werkzeug(value: Any) -> None:
    def stable(text: str) -> str:
        return re.sub("0x[0-9a-f]+", "0x", text)

    assert stable(dumped(OURS, value)) == stable(dumped(THEIRS, value))


def local_variables(side: Any) -> str:
    first, second = 1, "<"  # noqa: F841 - these are shown
    with collected(side.console) as out:
        side.repr.dump()
        text = out.reset()
    return str(text).replace(repr(out), "")


def test_without_an_object_the_local_variables_are_dumped() -> None:
    text = local_variables(OURS)
    assert "Local variables in frame" in text
    assert "<th>first<td><pre class=repr>" in text
    assert "&#39;&lt;&#39;" in text


@pytest.mark.parametrize("args", [(), (int,), ([],)], ids=str)
def test_help_is_a_box_as_in_werkzeug(args: tuple[Any, ...]) -> None:
    def told(side: Any) -> str:
        with collected(side.console) as out:
            side.repr.helper(*args)
            return str(out.reset())

    assert " ".join(told(OURS).split())[:400] == " ".join(told(THEIRS).split())[:400]
    assert repr(OURS.repr.helper) == repr(THEIRS.repr.helper)


LINES = [
    "1 + 1", "a + b", "x = 5", "x", "_", "print('<hi>')", "for i in range(2):", "    print(i)",
    "", "dump", "help", "def f():\n  return 7\n", "f()", "None", "'q' * 90", "import os",
    "x = 1; x", "class A:", " pass", "", "A", "y = lambda: x", "y()", "[n for n in range(3) if x]",
]  # fmt: skip


def test_a_console_answers_line_by_line_as_werkzeugs(monkeypatch: pytest.MonkeyPatch) -> None:
    # Werkzeug sets it once for the process, when it is imported.
    monkeypatch.setattr(sys, "displayhook", THEIRS.console.ThreadedStream.displayhook)
    monkeypatch.setattr(sys, "stdout", sys.stdout)

    def transcript(side: Any) -> list[str]:
        console = side.console.Console({"a": 1}, {"b": 2})
        return [re.sub("0x[0-9a-f]+", "0x", console.eval(line)) for line in LINES]

    assert transcript(OURS) == transcript(THEIRS)


def test_a_console_does_not_change_the_displayhook_of_other_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Werkzeug's console changes it for all code. Carboy's changes it for its own code only.
    shown: list[object] = []
    monkeypatch.setattr(sys, "displayhook", shown.append)
    assert 'class="number">2<' in OURS.console.Console().eval("1 + 1")
    assert sys.displayhook == shown.append
    assert shown == []


def test_a_console_shows_exceptions_and_continues() -> None:
    console = OURS.console.Console()
    shown = console.eval("1/0")
    assert "ZeroDivisionError: division by zero" in shown
    assert '<pre class="line current"><span class=number>1</span>' in shown
    assert '<span class="number">1</span>/<span class="number">0</span></pre>' in shown
    assert "SyntaxError" in console.eval("def (")
    assert "codeop" not in console.eval("def (")
    assert console.eval("2") == '>>> 2\n<span class="number">2</span>'


def test_a_console_does_not_change_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    OURS.console.Console().eval("print('inside')")
    print("outside")
    assert capsys.readouterr().out == "outside\n"


# --- tracebacks


def fails(value: int) -> None:
    __traceback_info__ = "told <by> the frame"
    raise ValueError(f"bad <{value}>")


def caught(function: Any) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError


def chained() -> None:
    try:
        fails(1)
    except ValueError as error:
        raise KeyError("key") from error


def implicit() -> None:
    try:
        fails(1)
    except ValueError:
        raise KeyError("key")  # noqa: B904 - the implicit chain is meant


@pytest.mark.parametrize("function", [lambda: fails(2), chained, implicit, lambda: int("x")])
def test_text_and_frames_are_those_of_werkzeug(function: Any) -> None:
    error = caught(function)
    ours, theirs = (side.tbtools.DebugTraceback(error) for side in (OURS, THEIRS))
    # Werkzeug's marks differ from Python's where an expression is not the whole line.
    assert ours.render_traceback_text() == "".join(traceback.format_exception(error))
    assert str(ours) == str(theirs)
    for name in ("name", "lineno", "filename", "is_library", "info", "local_ns"):
        assert [getattr(frame, name) for frame in ours.all_frames] == [
            getattr(frame, name) for frame in theirs.all_frames
        ]
    assert [text for text, _ in ours.all_tracebacks][:-1] == [
        text for text, _ in theirs.all_tracebacks
    ][:-1]


HIDES = [
    True, "before", "before_and_this", "reset", "reset_and_this", "after", "after_and_this", False,
]  # fmt: skip


@pytest.mark.parametrize("first", HIDES)
@pytest.mark.parametrize("second", HIDES)
def test_hidden_frames_are_hidden_as_by_werkzeug(first: Any, second: Any) -> None:
    def outer() -> None:
        __traceback_hide__ = first
        middle()

    def middle() -> None:
        inner()

    def inner() -> None:
        __traceback_hide__ = second
        last()

    def last() -> None:
        raise ValueError

    error = caught(outer)
    for hide in (True, False):
        ours, theirs = (
            [frame.name for frame in side.tbtools.DebugTraceback(error, hide=hide).all_frames]
            for side in (OURS, THEIRS)
        )
        assert ours == theirs


def test_the_expression_that_raised_is_marked() -> None:
    def marked() -> None:
        values = {"ü": 1}
        str(values["ü"] + values["missing"])

    shown = OURS.tbtools.DebugTraceback(caught(marked)).render_traceback_html()
    assert '<mark>values[<span class="string">&#34;missing&#34;</span>]</mark>' in shown


def test_markup_in_messages_and_source_is_text() -> None:
    found = OURS.tbtools.DebugTraceback(caught(lambda: fails(3)))
    page = found.render_debugger_html(True, "SECRET", False)
    assert "bad &lt;3&gt;" in page
    assert "bad <3>" not in page.split("<!--")[0]
    assert 'title="told &lt;by&gt; the frame"' in page
    assert page.rstrip().endswith("-->")
    assert "--" not in page.split("<!--")[1].removesuffix("-->\n")


def test_causes_are_divided_and_groups_opened() -> None:
    def grouped() -> None:
        raise ExceptionGroup("several", [caught(lambda: fails(4)), TypeError("other")])  # type: ignore[list-item]

    assert (
        'class="exc-divider"'
        in OURS.tbtools.DebugTraceback(caught(chained)).render_traceback_html()
    )
    found = OURS.tbtools.DebugTraceback(caught(grouped))
    shown = found.render_traceback_html()
    assert "Exception 2 of the group:" in shown
    assert "<blockquote>ValueError: bad &lt;4&gt;</blockquote>" in shown
    assert "<blockquote>TypeError: other</blockquote>" in shown
    assert "fails" in [frame.name for frame in found.all_frames]


def test_code_runs_in_its_frame() -> None:
    frame = OURS.tbtools.DebugTraceback(caught(lambda: fails(5))).all_frames[-1]
    assert frame.eval("value + 1").endswith('<span class="number">6</span>')
    frame.eval("value = 8")
    assert frame.eval("value").endswith('<span class="number">8</span>')


def test_frames_link_to_the_configured_editor(monkeypatch: pytest.MonkeyPatch) -> None:
    found = OURS.tbtools.DebugTraceback(caught(lambda: fails(6)))
    line = found.all_frames[-1].lineno
    assert '<a class="edit"'.replace('"', "") not in found.render_traceback_html()
    monkeypatch.setenv("CARBOY_EDITOR", "vscode")
    assert f'href="vscode://file{__file__}:{line}"' in found.render_traceback_html()
    monkeypatch.setenv("CARBOY_EDITOR", "x:{path}?{line}")
    assert f'href="x:{__file__}?{line}"' in found.render_traceback_html()


def test_the_stream_of_a_console_escapes() -> None:
    for side in (OURS, THEIRS):
        out = side.console.HTMLStringO()
        out.write("<a>")
        out.writelines(["<b>", "c"])
        out._write("<d>")
        assert (out.isatty(), out.readline(), out.reset(), out.reset()) == (
            False, "&lt;a&gt;", "&lt;b&gt;c<d>", "",
        )  # fmt: skip


class Verbose:
    """A value with an enormous repr."""

    def __repr__(self) -> str:
        return "y" * 10_000_000


ENORMOUS: list[Any] = [
    list(range(1_000_000)),
    dict.fromkeys(range(10000), "v" * 1000),
    [[Verbose()] * 1000] * 1000,
    "x" * 10_000_000,
    b"x" * 10_000_000,
    Verbose(),
]


@pytest.mark.parametrize("value", ENORMOUS, ids=lambda value: type(value).__name__)
def test_an_enormous_value_is_shown_in_part(value: Any) -> None:
    shown = OURS.repr.debug_repr(value)
    assert len(shown) < 100_000
    assert "…" in shown


def test_the_omitted_part_of_an_enormous_value_is_counted() -> None:
    assert "… 999,800 more" in OURS.repr.debug_repr(set(range(1_000_000)))
    assert "… 40 more" in OURS.repr.debug_repr("x" * 10_040)


def test_one_enormous_value_takes_no_space_from_the_others() -> None:
    shown = OURS.repr.DebugReprGenerator().dump_locals({"big": ENORMOUS[1], "small": {"a": [1]}})
    assert OURS.repr.debug_repr({"a": [1]}) in shown


def test_nested_containers_are_limited() -> None:
    nested: list[Any] = []
    for _ in range(100):
        nested = [nested, 1]
    assert "…" in OURS.repr.debug_repr(nested)


def page_of(error: BaseException) -> str:
    return OURS.tbtools.DebugTraceback(error).render_debugger_html(True, "secret", False)


def test_a_syntax_error_is_shown_like_a_frame(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("one = 1\nx = (\n\ntwo = 2\n")
    with pytest.raises(SyntaxError) as caught:
        compile(file.read_text(), str(file), "exec")
    shown = page_of(caught.value)
    assert "<p class=kind>SyntaxError</p>" in shown
    assert '<h1 class="errormsg">&#39;(&#39; was never closed</h1>' in shown
    assert f'title="{file}"' in shown
    assert '<pre class="line current"><span class=number>2</span>x = <mark>(</mark></pre>' in shown
    assert "two = " in shown


def test_source_code_without_a_file_is_taken_from_the_error(tmp_path: Path) -> None:
    with pytest.raises(SyntaxError) as caught:
        compile("x = (", str(tmp_path / "gone.py"), "exec")
    assert "<span class=number>1</span>x = <mark>(</mark></pre>" in page_of(caught.value)


def test_each_exception_of_a_chain_has_its_message() -> None:
    def chained() -> None:
        try:
            {}["bread"]
        except KeyError as error:
            raise RuntimeError("cannot be paid") from error

    shown = page_of(caught(chained))
    assert shown.index("<blockquote>KeyError: &#39;bread&#39;<") < shown.index('"exc-divider"')


def test_repeated_frames_are_counted() -> None:
    def again() -> None:
        again()

    shown = page_of(caught(again))
    assert re.search(r"<p class=repeated>The same frame, \d{3} more times</p>", shown)
    assert shown.count("<details class=") < 10


def test_functions_that_call_each_other_are_folded() -> None:
    def even(number: int) -> None:
        odd(number - 1)

    def odd(number: int) -> None:
        even(number - 1)

    shown = page_of(caught(lambda: even(1)))
    assert re.search(r"<p class=repeated>The same 2 frames, \d{3} more times</p>", shown)
    assert shown.count("<details class=") < 12


@pytest.mark.parametrize(
    ("filename", "names", "library"),
    [
        ("<frozen importlib._bootstrap>", {}, True),
        ("<string>", {"__file__": json.__file__}, True),
        ("<string>", {"__file__": __file__}, False),
        ("<debugger>", {}, False),
        (f"{sys.prefix}/src/app/views.py", {}, False),
        (f"{sys.base_prefix}/src/app/views.py", {}, False),
        (jinja2.__file__, {}, True),
        (json.__file__, {}, True),
        ("templates/index.html", {}, False),
    ],
)
def test_frames_of_the_users_code_are_those_outside_of_installed_packages(
    filename: str, names: dict[str, Any], library: bool
) -> None:
    frame = OURS.tbtools.DebugFrameSummary(
        filename=filename, lineno=1, name="f", locals={}, globals=names
    )
    assert frame.is_library is library


def test_a_long_message_has_a_smaller_font() -> None:
    assert '<h1 class="errormsg long">' in page_of(ValueError("long " * 100))
    assert '<h1 class="errormsg">' in page_of(ValueError("short"))


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (SyntaxError(), "SyntaxError", "&lt;no detail available&gt;"),
        (SyntaxError("odd: very"), "SyntaxError", "odd: very"),
        (IndentationError("no", ("x.py", 1, 1, "no\n")), "IndentationError", "no"),
        (ValueError(), "ValueError", "ValueError"),
        (KeyError("k"), "KeyError", "&#39;k&#39;"),
    ],
    ids=repr,
)
def test_the_page_shows_the_exception_and_its_cause(error: Exception, kind: str, text: str) -> None:
    shown = page_of(error)
    assert f"<p class=kind>{kind}</p>" in shown
    assert f'<h1 class="errormsg">{text}</h1>' in shown
