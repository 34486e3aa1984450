"""The parts of a rule in the form of Werkzeug's rules."""

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
def test_a_rule_has_the_same_parts_as_in_werkzeug(text: str, options: dict[str, str]) -> None:
    ours: Any = type("ours", (), {"Rule": Rule, "Map": Map})
    assert parts(ours, text, options) == parts(werkzeug.routing, text, options)


def test_an_unbound_rule_has_no_parts() -> None:
    assert Rule("/a")._parts == []


def test_a_part_has_the_same_fields_as_in_werkzeug() -> None:
    assert RulePart.__match_args__ == Theirs.__match_args__


def test_a_new_state_is_empty() -> None:
    assert State() == State([], [], {})
    assert Weighting(0, [], 0, []).static_weights == []
    assert issubclass(SlashRequired, Exception)
