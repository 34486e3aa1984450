from __future__ import annotations

from typing import Any

import pytest
import werkzeug.routing

import carboy.routing
from carboy.routing import Map, Rule


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"string": "x"}, ValueError),
        ({"string": ""}, ValueError),
        ({"string": "/x", "methods": "GET"}, TypeError),
        ({"string": "/x", "methods": ["POST"], "websocket": True}, ValueError),
    ],
)
def test_invalid_arguments_are_refused(arguments: dict, error: type[Exception]) -> None:
    with pytest.raises(error):
        Rule(**arguments)


@pytest.mark.parametrize("text", ["/<x", "/<>", "/<3x>", "/<x:>", "/<:x>", "/<a.b:c>", "/< x>"])
def test_a_malformed_variable_is_refused_when_the_rule_is_added_to_a_map(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        Map([Rule(text)])


def test_a_rule_with_get_has_head() -> None:
    assert Rule("/x", methods=["get"]).methods == {"GET", "HEAD"}
    assert Rule("/x").methods is None


def test_a_rule_ending_with_a_slash_is_a_branch() -> None:
    assert Rule("/x/").is_branch
    assert Rule("/x").is_leaf


def test_an_empty_copy_has_all_arguments() -> None:
    given = {
        "defaults": {"x": 1},
        "subdomain": "s",
        "methods": {"GET", "HEAD"},
        "build_only": True,
        "endpoint": "e",
        "strict_slashes": False,
        "merge_slashes": False,
        "redirect_to": "/r",
        "alias": True,
        "host": "h",
        "websocket": True,
    }
    rule = Rule("/x", **given)
    assert rule.get_empty_kwargs() == given
    assert rule.empty().get_empty_kwargs() == given


def test_a_subclass_adds_to_its_empty_copy() -> None:
    class Named(Rule):
        def __init__(self, string: str, name: str = "", **options: object) -> None:
            super().__init__(string, **options)  # type: ignore[arg-type]
            self.name = name

        def get_empty_kwargs(self) -> dict:
            return {**super().get_empty_kwargs(), "name": self.name}

    copy = Named("/x", name="n").empty()
    assert isinstance(copy, Named) and copy.name == "n"


def test_the_arguments_are_variables_and_defaults() -> None:
    rule = Rule("/<x>/<int:y>", defaults={"z": 1})
    Map([rule])
    assert rule.arguments == {"x", "y", "z"}


def test_a_rule_builds_domain_and_path() -> None:
    rule = Rule("/<int:x>", subdomain="<s>")
    Map([rule])
    assert rule.build({"x": 1, "s": "t", "q": "a b"}) == ("t", "/1?q=a+b")
    assert rule.build({"x": 1, "s": "t", "q": 1}, append_unknown=False) == ("t", "/1")


def test_a_missing_value_is_named_in_the_error() -> None:
    rule = Rule("/<int:x>")
    Map([rule])
    with pytest.raises(TypeError, match="'x'"):
        rule.build({})


def test_refresh_applies_a_changed_text() -> None:
    rule = Rule("/a", endpoint="e")
    url_map = Map([rule])
    rule.rule = "/b"
    rule.refresh()
    assert url_map.bind("h").build("e") == "/b"


def test_rules_for_the_same_urls_are_equal() -> None:
    assert Rule("/x", endpoint="a") == Rule("/x", endpoint="b")
    assert Rule("/x") != Rule("/y")
    assert Rule("/x") != 3
    merged, plain = Rule("/a//<x>"), Rule("/a/<int:x>")
    Map([merged, plain])
    assert merged == plain
    with pytest.raises(TypeError):
        hash(Rule("/x"))


def test_rules_provide_defaults_for_others_of_their_endpoint() -> None:
    one, some = Rule("/one", endpoint="e", defaults={"x": 1}), Rule("/<x>", endpoint="e")
    Map([one, some])
    assert one.provides_defaults_for(some)
    assert not some.provides_defaults_for(one)


def test_suitable_for_looks_at_values_defaults_and_method() -> None:
    rule = Rule("/<x>", defaults={"y": 1}, methods=["POST"])
    Map([rule])
    assert rule.suitable_for({"x": 1})
    assert rule.suitable_for({"x": 1, "y": 1}, "POST")
    assert not rule.suitable_for({"x": 1, "y": 2})
    assert not rule.suitable_for({"x": 1}, "GET")
    assert not rule.suitable_for({"y": 1})


def test_rules_of_an_endpoint_are_sorted_by_alias_variables_and_defaults() -> None:
    rules = [Rule("/", alias=True), Rule("/<x>"), Rule("/y", defaults={"x": 1}), Rule("/z")]
    Map(rules)
    keys = [rule.build_compare_key() for rule in rules]
    assert keys == [(1, 0, 0), (0, -1, 0), (0, -1, -1), (0, 0, 0)]


def test_an_unbound_rule_shows_its_text() -> None:
    assert str(Rule("/x/<y>")) == "/x/<y>"
    assert repr(Rule("/x/<y>")) == "<Rule (unbound)>"


def test_a_rule_has_to_be_in_a_map_before_it_is_compiled() -> None:
    with pytest.raises(AssertionError, match="map"):
        Rule("/x").compile()


def test_the_trace_lists_texts_slashes_and_variables() -> None:
    def traces(library: Any) -> list[Any]:
        rules = [
            library.Rule("/", endpoint="a"),
            library.Rule("/a/<int:b>/c<d>e/", endpoint="b", defaults={"f": 1}),
            library.Rule("/<path:p>", subdomain="<s>.x", endpoint="c"),
            library.Rule("/a//<x>", endpoint="d", build_only=True),
            library.Rule("/a//<x>", endpoint="e", merge_slashes=False, subdomain="api"),
        ]
        library.Map(rules)
        return [rule._trace for rule in (*rules, library.Rule("/unbound"))]

    assert traces(carboy.routing) == traces(werkzeug.routing)


def test_a_rule_that_another_thread_refreshes_still_builds_its_url() -> None:
    class Interrupted(Rule):
        def __getattribute__(self, name: str) -> Any:
            found = super().__getattribute__(name)
            if name == "_template" and found is not None:
                self._template = None  # what `refresh` does in another thread at this moment
            return found

    rule = Interrupted("/a/<x>", endpoint="e")
    Map([rule])
    assert rule.build({"x": 1}) == ("", "/a/1")
    assert rule.build({"x": 1}) == ("", "/a/1")
