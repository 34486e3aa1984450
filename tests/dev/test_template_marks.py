"""Frames of templates: their source code, and the part of the line that raised."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import django.template
import jinja2
import pytest

import carboy
from carboy.cli.tracebacks import traceback_text
from carboy.dev.debugger.tbtools import DebugTraceback
from carboy.dev.debugger.template_marks import Raised, marked


def fails(*args: Any) -> None:
    raise ValueError("on purpose")


class Thing:
    @property
    def prop(self) -> None:
        raise LookupError("on purpose")

    def __init__(self, *args: Any) -> None:
        if args:
            raise ValueError("on purpose")


VALUES = {"one": 1, "user": {}, "thing": Thing(), "Thing": Thing, "fails": fails, "go": fails}
PARTS = {
    "macro.html": "{% macro m(x) %}\n  {{ x.a.b }}{% endmacro %}",
    "base.html": "<body>{% block c %}{% endblock %}{% block d %}{% endblock %}</body>",
    "included.html": "\n{{ fails() }}",
    "invalid.html": "<p>\n{{ one + }}",
}
# the second line of a template: the parts that are marked in it and in the templates it uses
CASES = {
    "<p>{{ one }} and {{ user.nmae.x }}</p>": ["nmae"],
    "<p>{{ one }} and {{ missing.x }} {{ missing }}</p>": ["missing"],
    "{{ user.x }} {{ user.y.x }}": ["y"],
    "<b>ü {{ one }} {{ fails(1) }} {{ one }}</b>": ["fails(1)"],
    "{{ one }}{{ go(fails, (1)) }}": ["go(fails, (1))"],
    "{{ one }}{{ Thing(1) }}": ["Thing(1)"],
    "{{ one }}{{ thing.prop }}": ["prop"],
    "{% if fails(1) %}{{ fails(2) }}{% endif %}": [],
    "{% if one %}{% if fails(1) %}{% endif %}{% endif %}": ["fails(1)"],
    "{% set x = fails(1) %}{{ x }}": ["fails(1)"],
    "{%- for x in 1 -%}{% endfor %}": ["for x in 1"],
    "{% for x in [0] %}{{ 1 / x }}{% endfor %}": ["1 / x"],
    "{{ one|int }}{{ one|round('a')|upper }}": ["round('a')"],
    "{{ one }}{{ one|broken }}": ["broken"],
    "{{\n  fails(\n 1) }}": ["fails"],
    "{{ '}}' ~ fails('{{') }} {# {{ fails() }} #}": ["fails('{{')"],
    "{% raw %}{{ fails(1) }}{% endraw %}{{ fails(2) }}": ["fails(2)"],
    "{% autoescape false %}{{ one }}{{ fails() }}{% endautoescape %}": ["fails()"],
    "{% filter upper %}{{ fails() }}{% endfilter %}": ["fails()"],
    "{{ '\u2028\x0c' }}\x85{{ one }}{{ fails() }}": ["fails()"],
    "{{ one }}{% include 'included.html' %}": ["include 'included.html'", "fails()"],
    "{{ one }}{% include 'missing.html' %}": ["include 'missing.html'"],
    "{{ one }}{% include 'invalid.html' %}": ["include 'invalid.html'", "one +"],
    "{% from 'macro.html' import m %}{{ m({}) }}": ["m({})", "a"],
    "{% macro m() %}{{ caller() }}{% endmacro %}\n{% call m() %}\n{{ fails() }}{% endcall %}": [
        "call m()", "caller()", "fails()",
    ],
    "{% extends 'base.html' %}{% block d %}{{ super() }}{{ fails() }}{% endblock %}": [
        "extends 'base.html'", "block d", "fails()",
    ],
}  # fmt: skip


def environment(folder: Path | None, text: str) -> jinja2.Environment:
    templates = {**PARTS, "page.html": text}
    loader: jinja2.BaseLoader = jinja2.DictLoader(templates)
    if folder is not None:
        for name, source in templates.items():
            (folder / name).write_text(source)
        loader = jinja2.FileSystemLoader(folder)
    made = jinja2.Environment(loader=loader, autoescape=True)
    made.filters["broken"] = fails
    return made


def caught(render: Any) -> Exception:
    with pytest.raises(Exception) as error:  # noqa: PT011 - of any class
        render()
    return error.value


def marks(error: Exception) -> list[str]:
    """The parts that are marked in the frames of templates."""
    frames = [f for f in DebugTraceback(error).all_frames if not f.filename.endswith(".py")]
    shown = "".join(frame.render_html(False) for frame in frames)
    return [html.unescape(each) for each in re.findall("<mark>(.*?)</mark>", shown)]


@pytest.mark.parametrize("text", CASES)
def test_what_raised_is_marked_in_a_template(tmp_path: Path, text: str) -> None:
    page = environment(tmp_path, f"<!doctype html>\n{text}")
    error = caught(lambda: page.get_template("page.html").render(VALUES))
    assert marks(error) == CASES[text]


@pytest.mark.parametrize("part", ["{{ fails() }}", "{{ fails(", "'", "\\'", "{% raw %}", "{", "("])
def test_a_line_of_any_length_takes_linear_time(part: str) -> None:
    raised = Raised("ValueError", "", (frozenset({"fails"}),))
    marked("{{ '" + part * 100_000, 1, raised)
    marked(part * 100_000, 1, raised)


def test_the_text_has_the_same_marks(tmp_path: Path) -> None:
    page = environment(tmp_path, "<p>{{ one }}{{ fails() }}</p>").get_template("page.html")
    text = traceback_text(caught(lambda: page.render(VALUES)))
    assert "    <p>{{ one }}{{ fails() }}</p>\n                   ^^^^^^^\n" in text


def test_other_delimiters_are_those_of_the_environment() -> None:
    made = jinja2.Environment(  # noqa: S701
        variable_start_string="<<", variable_end_string=">>", block_start_string="<%",
        block_end_string="%>", loader=jinja2.DictLoader({"page": "<< one >>{{ x }}<< fails() >>"}),
    )  # fmt: skip
    assert marks(caught(lambda: made.get_template("page").render(VALUES))) == ["fails()"]


def test_templates_that_are_not_in_files_are_shown() -> None:
    made = environment(None, "\n{{ one }}{{ fails() }}")
    shown = [marks(caught(lambda: made.get_template("page.html").render(VALUES)))]
    app = carboy.Flask("scenario")
    with app.test_request_context():
        for text in ("{{ one }}\n{{ one }}{{ fails() }}", "\n{{ fails( }}"):
            shown.append(
                marks(caught(lambda text=text: carboy.render_template_string(text, **VALUES)))
            )
    assert shown == [["fails()"], ["fails()"], ["fails("]]


def test_a_macro_that_python_calls_has_the_line_of_its_template(tmp_path: Path) -> None:
    module = environment(tmp_path, "").get_template("macro.html").module
    error = caught(lambda: module.m({}))  # type: ignore[attr-defined]
    frame = next(f for f in DebugTraceback(error).all_frames if f.filename.endswith("macro.html"))
    assert (frame.name, frame.lineno, frame.line) == ("template", 2, "{{ x.a.b }}{% endmacro %}")
    assert marks(error) == ["a"]


def test_a_template_with_the_name_of_a_module_is_a_template(tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text("x = {{ one }}{{ fails() }}")
    made = jinja2.Environment(loader=jinja2.FileSystemLoader(tmp_path))  # noqa: S701
    error = caught(lambda: made.get_template("settings.py").render(VALUES))
    assert "<mark>fails()</mark>" in DebugTraceback(error).render_traceback_html()


def test_the_tags_of_django_templates_have_frames(tmp_path: Path) -> None:
    (tmp_path / "base.html").write_text("<body>\n{% block c %}{% endblock %}</body>")
    (tmp_path / "page.html").write_text(
        '{% extends "base.html" %}\n{% block c %}ü {{ one }}{% if one %}{{ thing.prop }}{% endif %}'
        "{% endblock %}"
    )
    page = django.template.Engine(dirs=[str(tmp_path)], debug=True).get_template("page.html")
    error = caught(lambda: page.render(django.template.Context({"one": "1", "thing": Thing()})))
    assert marks(error) == ["{% block c %}", "{% if one %}", "{{ thing.prop }}"]
    frames = [f for f in DebugTraceback(error).all_frames if f.filename.endswith(".html")]
    assert [(Path(f.filename).stem, f.lineno) for f in frames] == [
        ("page", 1), ("base", 2), ("page", 2), ("page", 2),
    ]  # fmt: skip
    assert "1" in frames[-1].eval("one")
    assert f'page.html", line 2, in template\n    {page.source.splitlines()[1]}' in (
        traceback_text(error)
    )
