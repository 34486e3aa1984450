"""The program of docs/tracing.md runs, and its spans are those that the page describes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from documented import Page
from running import Running

PAGE = Page("tracing.md")


def spans_of(text: str) -> dict[str, Any]:
    """The spans that were written to standard output, by their names."""
    decoder, found, at = json.JSONDecoder(), {}, 0
    while (at := text.find("{", at)) >= 0:
        span, at = decoder.raw_decode(text, at)
        found[span["name"]] = span
    return found


def test_the_span_of_a_view_is_a_child_of_the_span_of_its_request(tmp_path: Path) -> None:
    (tmp_path / "traced.py").write_text(PAGE.programs["traced.py"])
    with Running("run", "traced", "-p", "0", "--no-access-log", cwd=tmp_path) as server:
        assert server.get("/notes/7")[0] == 200
        assert server.stop() == 0
        spans = spans_of("".join(server.out))
    own, request = spans["load"], spans["GET /notes/<int:number>"]
    assert own["parent_id"] == request["context"]["span_id"]
    attributes = request["attributes"]
    assert attributes["http.response.status_code"] == 200
    for name in attributes:
        assert f"`{name}`" in PAGE.text, name


def test_no_spans_are_made_if_the_option_says_so(tmp_path: Path) -> None:
    (tmp_path / "traced.py").write_text(PAGE.programs["traced.py"])
    args = ("run", "traced", "-p", "0", "--no-access-log", "--tracing", "no")
    with Running(*args, cwd=tmp_path) as server:
        assert server.get("/notes/7")[0] == 200
        assert server.stop() == 0
        assert set(spans_of("".join(server.out))) == {"load"}
