"""Syntax highlighting of Python: the right parts, and no change of the text."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.dev.highlight import coloured, is_python, parts_of


def kinds(source: str) -> list[tuple[str, str]]:
    """The highlighted parts with their kinds, in order."""
    lines = source.split("\n")
    return [
        (lines[number][start:stop], kind)
        for number, parts in sorted(parts_of(source).items())
        for start, stop, kind in parts
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("if x is None:", {"if": "keyword", "is": "keyword", "None": "keyword"}),
        ("x  # why", {"# why": "comment"}),
        ("iffy = information", {}),
        (r"""a = 'it\'s' + "# no" """, {r"'it\'s'": "string", '"# no"': "string"}),
        ("""rb'x' f"{y}" xb'1'""", {"rb'x'": "string", 'f"{y}"': "string", "'1'": "string"}),
        ("1_000 + 0xff + 1.5e3 + x2", dict.fromkeys(("1_000", "0xff", "1.5e3"), "number")),
        ("'open\nreturn", {"'open": "string", "return": "keyword"}),
        ('"""1\nif \'x\'\n""" or', {'"""1': "string", "if 'x'": "string", '"""': "string",
                                   "or": "keyword"}),
        ("x = '''if\nnot closed", {"'''if": "string", "not closed": "string"}),
    ],
)  # fmt: skip
def test_parts_have_their_kind(source: str, expected: dict[str, str]) -> None:
    assert kinds(source) == list(expected.items())


@given(st.text(alphabet="abif \"'\\#\nü1_()<", max_size=80))
def test_highlighting_changes_no_character(source: str) -> None:
    parts = parts_of(source)
    for number, line in enumerate(source.split("\n")):
        assert text_of(str(coloured(line, parts.get(number, [])))) == line


@given(st.text(alphabet="abif \"'#", max_size=30), st.integers(0, 30), st.integers(0, 30))
def test_a_part_of_a_line_can_be_highlighted(line: str, one: int, other: int) -> None:
    start, stop = sorted((min(one, len(line)), min(other, len(line))))
    shown = coloured(line, parts_of(line).get(0, []), start, stop)
    assert text_of(str(shown)) == line[start:stop]


def text_of(markup: str) -> str:
    return html.unescape(re.sub(r"</?span[^>]*>", "", markup))


def test_templates_are_not_python() -> None:
    assert is_python("/app/views.py")
    assert is_python("<debugger>")
    assert not is_python("/app/templates/page.html")
