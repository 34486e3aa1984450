"""The parts of a rule as Werkzeug describes them."""

from __future__ import annotations

import re
from typing import Any

import pytest
import werkzeug.routing
from werkzeug.routing.rules import RulePart as Theirs

from carboy.routing import Map, Rule
from carboy.routing.description import RulePart, SlashRequired, State, Weighting

RULES: list[tuple[str, dict[str, str]]] = [
    *((text, {}) for text in ("/", "/s", "/<int:x>", "/a/<path:p>/b/", "/p/<path:z>")),
    *((text, {}) for text in ("/aa/bbb/<x>-<y>.z/c/", "/a<int:q>b/<r>/cc")),
    ("/x/", {"subdomain": "<s>"}),
    ("/y", {"subdomain": "abc"}),
]


def parts(module: Any, text: str, options: dict[str, str]) -> list[Any]:
    rule = module.Rule(text, endpoint="e", **options)
    module.Map([rule])
    return [
        (re.sub(r"\?P<\w+>", "", p.content), p.final, p.static, p.suffixed, tuple(p.weight))
        for p in rule._parts
    ]


@pytest.mark.parametrize(("text", "options"), RULES)
def test_a_rule_has_the_parts_it_has_there(text: str, options: dict[str, str]) -> None:
    ours: Any = type("ours", (), {"Rule": Rule, "Map": Map})
    assert parts(ours, text, options) == parts(werkzeug.routing, text, options)


def test_a_rule_that_is_in_no_map_has_no_parts() -> None:
    assert Rule("/a")._parts == []


def test_a_part_has_the_fields_it_has_there() -> None:
    assert RulePart.__match_args__ == Theirs.__match_args__


def test_a_state_begins_without_a_way_on() -> None:
    assert State() == State([], [], {})
    assert Weighting(0, [], 0, []).static_weights == []
    assert issubclass(SlashRequired, Exception)
