from __future__ import annotations

from typing import Any

import pytest

from carboy.routing import BaseConverter, Map, MapAdapter, Rule


class Braces(BaseConverter):
    def to_url(self, value: Any) -> str:
        return "{1/0}'\"" if value == 1 else str(value)


def made(*rules: Rule) -> MapAdapter:
    return Map(rules, converters={"braces": Braces}).bind("h")


def quick(adapter: MapAdapter, endpoint: str = "e") -> Any:
    return adapter.map._fast_builder(endpoint)


def test_ordinary_rules_have_a_generated_function() -> None:
    adapter = made(Rule("/<int:x>/<y>", endpoint="e"))
    assert quick(adapter)({"x": 1, "y": "a b"}, True) == "/1/a%20b"
    assert quick(adapter)({"x": 1, "y": "a", "q": 2}, True) == "/1/a?q=2"
    assert quick(adapter)({"x": 1, "y": "a", "q": 2}, False) == "/1/a"


@pytest.mark.parametrize("values", [{"x": "1"}, {"x": True}, {"x": None}, {}, {"y": 1}, [("x", 1)]])
def test_unusual_values_are_left_to_the_general_way(values: Any) -> None:
    assert quick(made(Rule("/<int:x>", endpoint="e")))(values, True) is None


@pytest.mark.parametrize(
    "rules",
    [
        [Rule("/<braces:x>", endpoint="e")],
        [Rule("/", endpoint="e", websocket=True)],
        [Rule("/", endpoint="e", subdomain="s")],
        [Rule("/a", endpoint="e", methods=["GET"]), Rule("/b", endpoint="e", methods=["PUT"])],
    ],
)
def test_unusual_rules_have_no_generated_function(rules: list[Rule]) -> None:
    assert quick(made(*(rule.empty() for rule in rules))) is None


def test_a_rule_class_with_its_own_build_is_used() -> None:
    class Own(Rule):
        def build(self, values: Any, append_unknown: bool = True) -> tuple[str, str] | None:
            return "", "/own"

    assert made(Own("/", endpoint="e")).build("e") == "/own"


def test_the_text_of_a_rule_is_never_run_as_code() -> None:
    adapter = made(
        Rule("/{x}'\"\\%(a)s/<y>", endpoint="e"),
        Rule("/<braces:x>/<y>", endpoint="d", defaults={"x": 1, "a-b\n": 2}),
    )
    assert adapter.build("e", {"y": "{y}%s"}) == "/%7Bx%7D'%22%5C%25(a)s/%7By%7D%25s"
    assert adapter.build("d", {"y": 1}) == "/{1/0}'\"/1"
    assert adapter.build("d", {"y": 1, "a-b\n": 2}) == "/{1/0}'\"/1"


def test_the_first_rule_that_suits_the_values_is_used() -> None:
    adapter = made(
        Rule("/all", endpoint="e", defaults={"page": 1}),
        Rule("/all/<int:page>", endpoint="e"),
        Rule("/all/<int:page>/<tag>", endpoint="e"),
    )
    for values, path in [
        ({}, "/all"),
        ({"page": 1}, "/all"),
        ({"page": 2}, "/all/2"),
        ({"page": 2, "tag": "t"}, "/all/2/t"),
        ({"page": 2, "q": "x"}, "/all/2?q=x"),
    ]:
        assert quick(adapter)(values, True) == path == adapter.build("e", values)


def test_a_value_after_the_leading_slash_cannot_be_a_host() -> None:
    adapter = made(Rule("/<path:p>", endpoint="e"))
    assert adapter.build("e", {"p": "//evil.example"}) == "/evil.example"
    assert quick(adapter)({"p": "/evil.example"}, True) is None
