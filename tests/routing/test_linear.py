"""Parts with several variables: the results of `re`, in linear time."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import werkzeug.exceptions
import werkzeug.routing
from hypothesis import example, given
from hypothesis import strategies as st

import carboy.http.exceptions
import carboy.routing
from calls import number_of_calls
from carboy.routing import linear
from carboy.routing.converters import BaseConverter
from carboy.routing.linear import linear_match
from carboy.routing.map import Map
from carboy.routing.parts import Dynamic, path_parts
from carboy.routing.rule import Rule


class Letters(BaseConverter):
    regex = "[a-c]+"


class Lazy(BaseConverter):
    regex = "[a-c]*?"
    part_isolating = False


class Everything(BaseConverter):
    regex = ".*"
    part_isolating = False


class Anything(BaseConverter):
    regex = ".+?"
    part_isolating = False


class Choice(BaseConverter):
    regex = r"a|ab|a\|b"


class Dashed(BaseConverter):
    regex = r"\w{1,3}-?"


OWN = {
    "letters": Letters,
    "lazy": Lazy,
    "everything": Everything,
    "anything": Anything,
    "choice": Choice,
    "dashed": Dashed,
}
VARIABLES = [
    *("<{}>", "<path:{}>", "<path:{}>", "<int:{}>", "<int(signed=True):{}>", "<float:{}>"),
    *("<any(a,ab,b):{}>", "<any(a,'a.b','a|b'):{}>", "<string(length=2):{}>", "<uuid:{}>"),
    *("<string(minlength=2):{}>", "<string(maxlength=3):{}>", "<string(minlength=0):{}>"),
    *(f"<{name}:{{}}>" for name in OWN),
]
FIXED = ["", "", "/", "/", "/a/", "a", "-", "--", ".", "/a", "b/", "é", "+", "|", " "]


def dynamic(text: str) -> list[Dynamic]:
    """The parts with variables of a rule."""
    rule = Rule(text, endpoint="e")
    Map([rule], converters=OWN)
    return [p for p in path_parts(rule._tokens[1], rule._converters) if isinstance(p, Dynamic)]


@st.composite
def rule_texts(draw: st.DrawFn) -> str:
    names = iter("xyzuvw")
    text = "/"
    for variable in draw(st.lists(st.sampled_from(VARIABLES), min_size=1, max_size=4)):
        text += draw(st.sampled_from(FIXED)) + variable.format(next(names))
    return text + draw(st.sampled_from([*FIXED, "/"]))


PIECES = [
    "a",
    "b",
    "c",
    "ab",
    "/",
    "/",
    "//",
    "-",
    "--",
    ".",
    "1",
    "23",
    "1.5",
    "é",
    "\n",
    "|",
    " ",
]
VALUES = ["a", "ab", "b", "aa", "a/b", "1", "-1", "1.5", "a-b", "a.b", "a|b", "--", "a/", "bc"]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


@given(rule_texts(), TEXTS)
@example("/<path:x>/<path:y>/", "a/b/")
@example("/<path:x>/a/<path:y>a", "a/a/a/a/a")
@example("/<x>-<y>.b", "-a--b-.b")
def test_the_result_is_that_of_re(rule: str, text: str) -> None:
    for part in dynamic(rule):
        check(part, text)


def check(part: Dynamic, text: str) -> None:
    """Compare the texts of the variables; whether there is a match must not depend on the order."""
    found = re.fullmatch(part.pattern, text)
    expected = found and tuple(found[group] or "" for group in part.groups)
    reader = linear._Reader(part.pattern)
    assert reader.read(), part.pattern
    places = linear.Trial(reader.items, text).run()
    actual = places and tuple(
        text[places[first] : places[last]]
        for first, last in (reader.spans[group] for group in part.groups)
    )
    assert actual == expected, (part.pattern, text)
    assert (linear.Trial(reader.items, text, lazy=True).run() is None) == (found is None)


@given(rule_texts(), st.lists(st.sampled_from(VALUES), min_size=4, max_size=4))
def test_the_result_is_that_of_re_for_a_url_made_for_the_rule(rule: str, values: list[str]) -> None:
    parts = dynamic(rule)
    if len(parts) == 1:
        texts = iter(values)
        text = re.sub("<[^>]*>", lambda _: next(texts), rule)[1:]
        check(parts[0], text)


@pytest.mark.parametrize(
    "pattern",
    [
        *(r"((a)|b)(.*)", r"(?:a)*(.*)(.*)", r"(a|b)+(.*)(.*)", r"(.*)\b(.*)", r"(.*)^(.*)"),
        *(r"((?i:a))(.*)(.*)", r"(.*)(?=a)(.*)", r"(.*)\1(.*)", r"(.*+)(.*)", r"(x{)(.*)(.*)"),
        *(r"([a(.*)(.*)", r"((?:a|b)*)(.*)", r"(a{,})(.*)(.*)", r"(a{70000})(.*)(.*)"),
    ],
)
def test_an_unknown_pattern_is_left_to_re(pattern: str) -> None:
    assert linear_match(pattern, (1,)) is None


def test_one_variable_is_left_to_re() -> None:
    for rule in ("/<path:x>", "/<path:x>/edit", "/a<x>b", "/<path:x>/"):
        [part] = dynamic(rule)
        assert linear_match(part.pattern, part.groups) is None


HARD = [
    ("/<path:x>/a/<path:y>/b", "/a" * 4000),
    ("/<path:x>/a/<path:y>/b/<path:z>/c", "/a/b" * 2000),
    ("/<path:x>/<path:y>/<path:z>/<path:u>/e", "/a" * 4000),
    ("/<path:x>/<path:y>/<path:z>/e/", "/a" * 4000),
    ("/<path:x><path:y><path:z>!", "/" + "a" * 8000),
    ("/<x>-<y>-<z>.html", "/" + "-" * 8000),
    ("/<x>-<y>-<z>.html", "/" + "a-" * 4000),
    ("/<x><y><z>!", "/" + "a" * 8000),
    ("/<path:x>/<int:y>/<path:z>!", "/1" * 4000),
    ("/<path:x>/<y>-<z>/<path:u>!", "/a-b" * 2000),
    ("/<path:x>/<any(a,b):y>/<path:z>!", "/a/b" * 2000),
    ("/<path:x><any(a,aa,aaa):y><any(a,aa,aaa):z><path:u>!", "/" + "a" * 8000),
    ("/<path:x>/<string(maxlength=4):y>/<path:z>!", "/a" * 4000),
    ("/<float:x><float:y>!", "/" + "1.1" * 2500),
    ("/<everything:x>/a/<everything:y>/b", "/a" * 4000),
    ("/<anything:x>/a/<anything:y>/b/<letters:z>!", "/a/b" * 2000),
]


@pytest.mark.parametrize(("rule", "path"), HARD, ids=[rule for rule, _ in HARD])
def test_a_long_path_that_does_not_match_takes_linear_time(rule: str, path: str) -> None:
    adapter = Map([Rule(rule, endpoint="e")], converters=OWN).bind("a.test")

    def refuse(path: str) -> Callable[[], Any]:
        return lambda: pytest.raises(Exception, adapter.match, path)

    half, whole = path[: len(path) // 2], path
    refuse(whole)()
    assert number_of_calls(refuse(whole)) < 2.5 * number_of_calls(refuse(half)) + 1000
    assert number_of_calls(refuse(whole)) < 100 * len(whole)


@pytest.mark.parametrize(
    ("rule", "path", "values"),
    [
        ("/<path:x>/a/<path:y>", "/b" * 2000 + "/a/c" * 2, {"y": "c/a/c"}),
        ("/<path:x>/a/<path:y>/", "/b" * 2000 + "/a/c/", {"y": "c"}),
        ("/<x>-<y>", "/" + "a-" * 2000 + "b", {"y": "b"}),
        ("/<int:x>-<path:y>", "/1-" + "a/" * 2000 + "b", {"x": 1}),
    ],
)
def test_a_long_path_that_matches_has_the_right_values(
    rule: str, path: str, values: dict[str, Any]
) -> None:
    both = []
    for library in (carboy.routing, werkzeug.routing):
        made = library.Map([library.Rule(rule, endpoint="e")])
        both.append(made.bind("a.test").match(path))
    assert both[0] == both[1]
    assert {name: both[0][1][name] for name in values} == values


LINEAR_RULES = st.lists(rule_texts().filter(lambda text: not re.search("|".join(OWN), text)))


@given(LINEAR_RULES, st.lists(st.sampled_from(PIECES), max_size=8).map(lambda p: "/" + "".join(p)))
def test_routing_without_re_agrees_with_werkzeug(rules: list[str], path: str) -> None:
    before = linear.AFFORDABLE
    linear.AFFORDABLE = 0
    try:
        outcomes = [
            outcome(library, exceptions, rules, path)
            for library, exceptions in (
                (carboy.routing, carboy.http.exceptions),
                (werkzeug.routing, werkzeug.exceptions),
            )
        ]
    finally:
        linear.AFFORDABLE = before
    assert outcomes[0] == outcomes[1]


def outcome(library: Any, exceptions: Any, rules: list[str], path: str) -> Any:
    made = library.Map([library.Rule(text, endpoint=text) for text in rules])
    try:
        return made.bind("a.test").match(path)
    except library.RequestRedirect as redirect:
        return redirect.new_url
    except exceptions.NotFound:
        return None
