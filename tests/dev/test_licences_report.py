"""The report about packages, licences and steps."""

from __future__ import annotations

from markdown_it import MarkdownIt

from carboy.dev.explain.places import APPLICATION, PYTHON
from carboy.dev.licences import report
from explained import call, explanation, request


def test_packages_are_named_once_carboy_first_and_the_application_not() -> None:
    assert report.packages(explanation()) == ["carboy", "flask", PYTHON]


def test_each_package_has_version_repository_and_licence() -> None:
    lines = report.make(explanation()).splitlines()
    (row,) = [line for line in lines if line.startswith("| flask ")]
    assert row.endswith("| <https://github.com/pallets/flask> | BSD-3-Clause |")


def test_unknown_values_are_marked_as_unknown() -> None:
    text = report.make(explanation(*request(), call("f", "homemade", 200_000, 201_000)))
    assert "| homemade | unknown | unknown | unknown |" in text
    assert "| unknown | unknown: read the licence | unknown | unknown |" in text


def test_a_step_says_what_came_in_and_what_went_out() -> None:
    view = call("index", APPLICATION, 1, 2, result="'Hi `you`'")
    view.args = (("self", "<Views>"), ("name", "'Bob'"))
    text = report.make(explanation(call("run", "server", 0, 3, view)))
    assert "1. **Your index runs**: `index`, 0.0 µs.\n" in text
    assert "   - in: `name = 'Bob'`\n   - out: ``'Hi `you`'``\n" in text
    assert "`your application/file.py:10-20`, the application itself" in text


def test_a_step_that_raised_says_so() -> None:
    view = call("index", APPLICATION, 1, 2)
    view.raised = True
    assert "   - out: an exception\n" in report.make(explanation(call("run", "server", 0, 3, view)))


def test_a_send_step_has_its_count_and_its_caller() -> None:
    text = report.make(explanation())
    assert "5. **The bytes are sent**, 2 times: `socket.send`, 9.0 µs.\n" in text
    assert "   - a system call, made by `carboy/server/file.py:10-20`\n" in text


def test_the_rule_is_at_the_end() -> None:
    found = explanation()
    assert "How the rule" not in report.make(found)
    found.rule = ["GET /", "  ✓ / → index"]
    assert report.make(found).endswith("```text\nGET /\n  ✓ / → index\n```\n")


def test_the_report_is_one_list_of_steps_whatever_is_in_its_texts() -> None:
    """In CommonMark, a list item with a number of two digits needs a deeper indentation."""
    calls = [call(f"view_{n}__", APPLICATION, n, n + 1, result="'`'") for n in range(12)]
    found = explanation(call("run", "server", 0, 20, *calls))
    found.request = "GET /a|b`*c*"
    found.rule = ["GET /", "```", "</b>"]
    for step in found.steps:
        step.title = f"The view '__init__ <b>{step.number}</b>' runs"
    tokens = MarkdownIt("commonmark").enable("table").parse(report.make(found))
    kinds = [token.type for token in tokens if token.level == 0]
    inline = [each.type for token in tokens for each in token.children or ()]
    assert kinds.count("ordered_list_open") == 1
    assert kinds.count("table_open") == 2
    assert kinds.count("fence") == 1
    assert "bullet_list_open" not in kinds
    assert not {"html_inline", "em_open"} & set(inline)
    assert inline.count("strong_open") == len(found.steps)
