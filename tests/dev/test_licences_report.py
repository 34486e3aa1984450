"""The report about packages, licences and steps."""

from __future__ import annotations

import re
from importlib import metadata

from markdown_it import MarkdownIt

from carboy.dev.explain.places import APPLICATION, PYTHON
from carboy.dev.licences import report
from explained import call, explanation, request


def test_packages_are_named_once_carboy_first_and_the_application_not() -> None:
    assert report.packages(explanation()) == ["carboy", "flask", PYTHON]


def test_each_package_has_a_table_with_repository_licence_and_terms() -> None:
    text = report.make(explanation())
    table = text.partition("\n### flask\n")[2].partition("\n### ")[0]
    version = metadata.version("flask")
    assert f"| version | {version} |" in table
    assert "| repository | <https://github.com/pallets/flask> |" in table
    assert "| description | A simple framework for building" in table
    assert "| licence (SPDX) | BSD-3-Clause |" in table
    assert f"<https://github.com/pallets/flask/blob/{version}/LICENSE.txt>" in table
    for field in ("allows | Use, change and", "requires | Keep the", "restricts | Advertising"):
        assert f"| {field}" in table


def test_unknown_values_are_marked_as_unknown() -> None:
    text = report.make(explanation(*request(), call("f", "homemade", 200_000, 201_000)))
    table = text.partition("\n### homemade\n")[2].partition("\n## ")[0]
    for field in ("repository", "version", "description", "licence (SPDX)", "requires"):
        assert f"| {field} | unknown |" in table
    assert "| allows | unknown: read the licence |" in table


def test_a_choice_of_licences_is_explained() -> None:
    text = report.make(explanation(*request(), call("f", "cryptography", 200_000, 201_000)))
    table = text.partition("\n### cryptography\n")[2].partition("\n### ")[0]
    assert "| Apache-2.0 OR BSD-3-Clause: you may choose one of these licences |" in table
    assert "| requires | Apache-2.0: Keep the licence and NOTICE files" in table
    assert "; BSD-3-Clause: Keep the copyright notice" in table


def test_a_step_says_what_came_in_and_what_went_out() -> None:
    view = call("index", APPLICATION, 1, 2, result="'Hi `you`'")
    view.args = (("self", "<Views>"), ("name", "'Bob'"))
    text = report.make(explanation(call("run", "server", 0, 3, view)))
    assert "1. **Your index runs**: `index`, 0.0 µs.\n" in text
    assert "   - in: `name = 'Bob'`\n   - out: ``'Hi `you`'``\n" in text
    where = "`your application/file.py:10-20`, the application itself"
    assert f"{where}; no link: it is not in a git checkout" in text


def test_every_step_has_a_link_or_says_why_not() -> None:
    text = report.make(explanation()).partition("\n## Steps")[2]
    lines = [line for line in text.splitlines() if re.match(r" +- (?!in: |out: )", line)]
    assert len(lines) == len(explanation().steps)
    for line in lines:
        assert re.search(r"\]\(https://|; no link: [a-z]", line), line


def test_a_step_that_raised_says_so() -> None:
    view = call("index", APPLICATION, 1, 2)
    view.raised, view.result = True, "KeyError: 'name'"
    text = report.make(explanation(call("run", "server", 0, 3, view)))
    assert "   - out: raised `KeyError: 'name'`\n" in text


def test_a_send_step_has_its_count_and_its_caller() -> None:
    text = report.make(explanation())
    assert "5. **The bytes are sent**, 2 times: `socket.send`, 9.0 µs.\n" in text
    where = "`carboy/server/file.py:10-20`, carboy 0.1.0; no link: "
    assert f"   - a system call, made by {where}" in text


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
    assert kinds.count("table_open") == len(report.packages(found))
    assert kinds.count("fence") == 1
    assert "bullet_list_open" not in kinds
    assert not {"html_inline", "em_open"} & set(inline)
    assert inline.count("strong_open") == len(found.steps)
