"""Rules, paths and values made by Hypothesis: the same answers as Werkzeug's routing."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

import werkzeug.exceptions
import werkzeug.routing
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import carboy.http.exceptions
import carboy.routing

# The machine may be busy: time is no matter of these tests.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
LIBRARIES = (
    (werkzeug.routing, werkzeug.exceptions),
    (carboy.routing, carboy.http.exceptions),
)

WORDS = ["a", "b", "ab", "1", "2", "1.5", "a-b", ""]
VARIABLES = [
    "<{}>",
    "<int:{}>",
    "<path:{}>",
    "<any(a,b):{}>",
    "<string(length=1):{}>",
    "<int(min=2):{}>",
    "<int(signed=True):{}>",
    "<float:{}>",
    "a<{}>",
    "<{}>b",
    "<int:{}>-",
    "<string(maxlength=1):{}>-<int:{}>",
    "<path:{}>b",
]


@st.composite
def rule_texts(draw: st.DrawFn) -> str:
    names = iter("xyzuvw")
    segments = draw(st.lists(st.sampled_from(WORDS + VARIABLES), min_size=0, max_size=3))
    made = [re.sub(r"\{\}", lambda _: next(names), segment) for segment in segments]
    return "/" + "/".join(made) + draw(st.sampled_from(["", "/"]))


RULES = st.lists(
    st.fixed_dictionaries(
        {"string": rule_texts(), "endpoint": st.sampled_from(["e", "f", "g"])},
        optional={
            "methods": st.sampled_from([["GET"], ["POST"], ["GET", "PUT"], None]),
            "strict_slashes": st.booleans(),
            "merge_slashes": st.booleans(),
            "defaults": st.sampled_from([None, {"x": 2}, {"x": 1}, {"y": 1, "x": 2}]),
            "build_only": st.sampled_from([False, False, True]),
            "alias": st.sampled_from([False, False, True]),
            "redirect_to": st.sampled_from([None, None, "to/there"]),
            "subdomain": st.sampled_from(["", "", "s", "<sub>", "a<sub>"]),
        },
    ),
    min_size=1,
    max_size=6,
).map(lambda rules: [dict(rule) for rule in rules])
MAPS = st.fixed_dictionaries(
    {},
    optional={
        "strict_slashes": st.booleans(),
        "merge_slashes": st.booleans(),
        "redirect_defaults": st.booleans(),
    },
)
PATHS = st.builds(
    lambda start, segments: start + "/".join(segments),
    st.sampled_from(["/", "/", "/", ""]),
    st.lists(st.sampled_from([*WORDS, "-1", "aab", "é"]), max_size=5),
)
SUBDOMAINS = st.sampled_from(["", "s", "as"])


def bound(library: ModuleType, rules: list[dict[str, Any]], options: Any, subdomain: str) -> Any:
    try:
        url_map = library.Map([library.Rule(**rule) for rule in rules], **options)
    except ValueError:
        assume(library is carboy.routing)  # Werkzeug refuses a default no URL can be built with
        raise
    return url_map.bind("host", subdomain=subdomain, query_args={"q": "1"})


def outcome(libraries: tuple[ModuleType, ModuleType], adapter: Any, **request: Any) -> Any:
    routing, errors = libraries
    try:
        rule, values = adapter.match(return_rule=True, **request)
    except routing.RequestRedirect as redirect:
        return "redirect", redirect.code, redirect.new_url
    except errors.MethodNotAllowed as error:
        return "allowed", sorted(error.valid_methods)
    except routing.WebsocketMismatch:
        return "websocket mismatch"
    except errors.NotFound:
        return "not found"
    except routing.BuildError:
        return "build error"
    except ValueError:  # a converter without a URL for what an alias has matched
        return "value error"
    return rule.rule, rule.endpoint, rule.subdomain, values


@settings(max_examples=400)
@given(RULES, MAPS, SUBDOMAINS, PATHS, st.sampled_from(["GET", "HEAD", "POST", "DELETE"]))
def test_a_path_has_the_outcome_it_has_in_werkzeug(
    rules: Any, options: Any, subdomain: str, path: str, method: str
) -> None:
    theirs, ours = (
        outcome(both, bound(both[0], rules, options, subdomain), path_info=path, method=method)
        for both in LIBRARIES
    )
    assert ours == theirs


@settings(max_examples=300)
@given(RULES, MAPS, PATHS, st.sampled_from(["GET", "POST"]))
def test_the_fast_path_finds_what_the_adapter_finds_or_nothing(
    rules: Any, options: Any, path: str, method: str
) -> None:
    theirs = bound(werkzeug.routing, rules, options, "")
    adapter = bound(carboy.routing, rules, options, "")
    found = adapter.map.lookup(method, path)
    if found is not None:
        rule, values = found
        expected = outcome(LIBRARIES[0], theirs, path_info=path, method=method)
        assert (rule.rule, rule.endpoint, rule.subdomain, values) == expected


@settings(max_examples=200)
@given(RULES, PATHS, st.booleans(), st.data())
def test_websocket_rules_match_as_in_werkzeug(
    rules: Any, path: str, websocket: bool, data: st.DataObject
) -> None:
    for rule in rules:
        if data.draw(st.booleans()):
            rule.update(websocket=True, methods=None)
    theirs, ours = (
        outcome(library, bound(library[0], rules, {}, ""), path_info=path, websocket=websocket)
        for library in LIBRARIES
    )
    assert ours == theirs


VALUES = st.dictionaries(
    st.sampled_from(["x", "y", "z", "sub", "q", "r"]),
    st.sampled_from([1, 2, "2", "a", "b", "a b/c", "é%", "", None, True, 2.5, ["1", 2], "/a"]),
    max_size=4,
)


def built(routing: ModuleType, adapter: Any, *args: Any, **options: Any) -> Any:
    try:
        return adapter.build(*args, **options)
    except routing.BuildError as error:
        suggested = error.suggested
        return "build error", suggested and (suggested.rule, suggested.endpoint)
    except (ValueError, TypeError) as error:
        return type(error).__name__


@settings(max_examples=500)
@given(
    RULES,
    SUBDOMAINS,
    st.sampled_from(["e", "f", "g", "gg"]),
    VALUES,
    st.fixed_dictionaries(
        {},
        optional={
            "method": st.sampled_from(["GET", "POST", "PUT"]),
            "force_external": st.booleans(),
            "append_unknown": st.booleans(),
            "url_scheme": st.sampled_from(["https", "http", "", "wss"]),
        },
    ),
)
def test_values_make_the_url_they_make_in_werkzeug(
    rules: Any, subdomain: str, endpoint: str, values: Any, options: Any
) -> None:
    theirs, ours = (
        built(library, bound(library, rules, {}, subdomain), endpoint, values, **options)
        for library, _ in LIBRARIES
    )
    assert ours == theirs
