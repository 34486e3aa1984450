from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import carboy.routing.map
from carboy.http.exceptions import BadHost, MethodNotAllowed, NotFound
from carboy.routing import (
    BaseConverter,
    IntegerConverter,
    Map,
    RequestRedirect,
    Rule,
    UnicodeConverter,
    ValidationError,
)


def rule(text: str, endpoint: str | None = None, **options: object) -> Rule:
    return Rule(text, endpoint=endpoint or text, **options)  # type: ignore[arg-type]


def test_the_fast_path_finds_a_fixed_path() -> None:
    url_map = Map([rule("/a", methods=["GET"]), rule("/b", methods=["POST"])])
    found = url_map.lookup("HEAD", "/a")
    assert found is not None and (found[0].endpoint, found[1]) == ("/a", {})


def test_the_fast_path_gives_every_caller_its_own_values() -> None:
    url_map = Map([rule("/a", defaults={"x": 1})])
    first = url_map.lookup("GET", "/a")
    assert first is not None
    first[1]["x"] = 2
    second = url_map.lookup("GET", "/a")
    assert second is not None and second[1] == {"x": 1}


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/b/"), ("POST", "/a"), ("GET", "/nothing"), ("GET", "/old"), ("GET", "//a")],
)
def test_the_fast_path_leaves_errors_and_redirects_to_the_adapter(method: str, path: str) -> None:
    url_map = Map(
        [rule("/a", methods=["GET"]), rule("/b", methods=["GET"]), rule("/old", redirect_to="/a")]
    )
    assert url_map.lookup(method, path) is None


def test_the_fast_path_converts_a_number() -> None:
    url_map = Map([rule(f"/r{n}/<int:x>") for n in range(200)])
    found = url_map.lookup("GET", "/r77/42")
    assert found is not None and found == (found[0], {"x": 42})
    assert found[0].rule == "/r77/<int:x>"


def test_a_number_of_too_many_digits_is_not_found() -> None:
    url_map = Map([rule("/<int:x>")])
    assert url_map.lookup("GET", "/" + "9" * 5000) is None
    with pytest.raises(NotFound):
        url_map.bind("h").match("/" + "9" * 5000)


def test_a_match_is_found_where_a_fixed_segment_does_not_lead_to_one() -> None:
    url_map = Map([rule("/a/b"), rule("/<x>/c")])
    assert url_map.lookup("GET", "/a/c") is None
    assert url_map.bind("h").match("/a/c") == ("/<x>/c", {"x": "a"})


def test_rules_added_later_are_found() -> None:
    url_map = Map([rule("/a")])
    assert url_map.lookup("GET", "/b") is None
    url_map.add(rule("/b"))
    assert url_map.lookup("GET", "/b") is not None
    assert url_map.lookup("GET", "/a") is not None


def test_a_rule_added_later_takes_part_in_building() -> None:
    url_map = Map([rule("/<int:x>", "e")])
    adapter = url_map.bind("h")
    assert adapter.build("e", {"x": 1}) == "/1"
    url_map.add(rule("/one", "e", defaults={"x": 1}))
    assert adapter.build("e", {"x": 1}) == "/one"


def test_rules_are_sorted_once_by_many_threads() -> None:
    url_map = Map([rule(f"/{n}/<int:x>") for n in range(500)])
    barrier = threading.Barrier(4)
    answers: list[object] = []

    def match() -> None:
        barrier.wait()
        answers.append(url_map.bind("h").match("/499/3"))

    threads = [threading.Thread(target=match) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [("/499/<int:x>", {"x": 3})] * 4
    assert len(list(url_map.iter_rules())) == 500


def test_matching_takes_as_many_steps_with_few_rules_as_with_many() -> None:
    class Counted(BaseConverter):
        calls = 0

        def to_python(self, value: str) -> str:
            type(self).calls += 1
            return value

    rules = [rule(f"/r{n}/<counted:x>") for n in range(5000)]
    url_map = Map(rules, converters={"counted": Counted})
    assert url_map.bind("h").match("/r4999/q")[1] == {"x": "q"}
    assert Counted.calls == 1


def test_a_rule_belongs_to_one_map() -> None:
    once = rule("/a")
    Map([once])
    with pytest.raises(RuntimeError, match="empty"):
        Map([once])


def test_iter_rules_has_all_rules_or_those_of_an_endpoint() -> None:
    url_map = Map([rule("/<x>", "e"), rule("/f", "f"), rule("/one", "e", defaults={"x": 1})])
    assert [r.rule for r in url_map.iter_rules("e")] == ["/one", "/<x>"]
    assert len(list(url_map.iter_rules())) == 3
    with pytest.raises(KeyError):
        url_map.iter_rules("unknown")


def test_is_endpoint_expecting_checks_the_variables_of_an_endpoint() -> None:
    url_map = Map([rule("/<x>/<y>", "e")])
    assert url_map.is_endpoint_expecting("e", "x", "y")
    assert not url_map.is_endpoint_expecting("e", "z")


def test_merge_slashes_can_be_changed() -> None:
    url_map = Map([rule("/a/b")])
    with pytest.raises(RequestRedirect):
        url_map.bind("h").match("/a//b")
    url_map.merge_slashes = False
    assert not url_map.merge_slashes
    with pytest.raises(NotFound):
        url_map.bind("h").match("/a//b")


def test_custom_converters_are_added_to_the_default_ones() -> None:
    class Year(BaseConverter):
        regex = r"\d{4}"

        def to_python(self, value: str) -> int:
            if value == "0000":
                raise ValidationError("there was no year 0")
            return int(value)

    url_map = Map([rule("/<year:y>")], converters={"year": Year})
    assert url_map.bind("h").match("/1999") == ("/<year:y>", {"y": 1999})
    assert url_map.converters["int"] is IntegerConverter
    assert url_map.bind("h").build("/<year:y>", {"y": 1999}) == "/1999"


def test_a_value_that_a_converter_refuses_is_not_found_and_no_other_rule_is_tried() -> None:
    url_map = Map([rule("/<int(min=5):x>"), rule("/<x>", "text")])
    with pytest.raises(NotFound):
        url_map.bind("h").match("/3")


def test_an_error_in_a_converter_is_not_hidden() -> None:
    class Broken(BaseConverter):
        def to_python(self, value: str) -> str:
            raise ZeroDivisionError

    url_map = Map([rule("/<broken:x>")], converters={"broken": Broken})
    with pytest.raises(ZeroDivisionError):
        url_map.bind("h").match("/a")


def test_a_converter_can_accept_slashes() -> None:
    class Words(BaseConverter):
        regex = "[a-z/]+"

    assert not Words.part_isolating
    url_map = Map([rule("/<words:x>/<int:y>")], converters={"words": Words})
    assert url_map.bind("h").match("/a/b/c/3")[1] == {"x": "a/b/c", "y": 3}


def test_the_pattern_of_a_converter_may_have_groups() -> None:
    class Grouped(BaseConverter):
        regex = "(a|b)(?P<rest>c)?"

    url_map = Map([rule("/<g:x>-<int:y>")], converters={"g": Grouped})
    assert url_map.bind("h").match("/ac-3")[1] == {"x": "ac", "y": 3}


def test_an_unknown_converter_is_named() -> None:
    with pytest.raises(LookupError, match="'nope'.*'/<nope:x>'"):
        Map([rule("/<nope:x>")])


def test_a_variable_can_be_used_once_in_a_rule() -> None:
    with pytest.raises(ValueError, match="'x' used twice"):
        Map([rule("/<x>/<int:x>")])


def test_host_matching_has_no_subdomains() -> None:
    with pytest.raises(RuntimeError, match="server_name"):
        Map(host_matching=True).bind("h", subdomain="s")


def test_an_international_host_is_bound_in_ascii() -> None:
    assert Map().bind("Bücher.example:80").server_name == "xn--bcher-kva.example:80"


def test_an_invalid_host_is_refused() -> None:
    with pytest.raises(BadHost):
        Map().bind("a" * 64 + ".example")


def test_method_not_allowed_has_the_allowed_methods() -> None:
    url_map = Map([rule("/a", methods=["GET"]), rule("/<x>", "x", methods=["PUT"])])
    with pytest.raises(MethodNotAllowed) as caught:
        url_map.bind("h").match("/a", "POST")
    assert sorted(caught.value.valid_methods or ()) == ["GET", "HEAD", "PUT"]


def test_the_map_shows_its_rules() -> None:
    assert repr(Map([rule("/<int:x>", "e", methods=["GET"])])) == (
        "Map([<Rule '/<x>' (GET, HEAD) -> e>])"
    )


def test_the_default_converters_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        Map.default_converters["x"] = UnicodeConverter  # type: ignore[index]


def test_other_threads_never_see_an_endpoint_without_rules_while_they_are_sorted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url_map = Map([rule("/a", "e"), rule("/b/<x>", "e")])
    seen = set()
    key = Rule.build_compare_key

    def look(each: Rule) -> tuple[int, int, int]:
        seen.add(len(url_map._rules_by_endpoint["e"]))  # list.sort() empties its list meanwhile
        return key(each)

    monkeypatch.setattr(Rule, "build_compare_key", look)
    url_map.update()
    assert seen == {2}


def test_a_url_builder_made_while_a_rule_is_added_is_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url_map = Map([rule("/a/<x>", "e")])
    make = carboy.routing.map.fast_builder

    def interrupted(rules: list[Rule], owner: Map) -> Any:
        made = make(rules, owner)
        monkeypatch.undo()
        url_map.add(rule("/b/<x>/<y>", "e"))  # what another thread does at this moment
        return made

    monkeypatch.setattr(carboy.routing.map, "fast_builder", interrupted)
    adapter = url_map.bind("h")
    assert adapter.build("e", {"x": 1, "y": 2}) == "/a/1?y=2"
    assert adapter.build("e", {"x": 1, "y": 2}) == "/b/1/2"


def test_an_endpoint_can_be_added_while_another_thread_lists_the_rules() -> None:
    class Interrupted(list[Rule]):
        def __iter__(self) -> Iterator[Rule]:
            url_map.add(rule("/b"))  # what another thread does at this moment
            return super().__iter__()

    url_map = Map([rule("/a")])
    url_map.update()
    url_map._rules_by_endpoint["/a"] = Interrupted(url_map._rules_by_endpoint["/a"])
    assert [each.rule for each in url_map.iter_rules()] == ["/a"]
    assert "/b" in {each.rule for each in url_map.iter_rules("/b")}
