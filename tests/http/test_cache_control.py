"""Cache-Control and Content-Security-Policy, compared with Werkzeug."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import werkzeug.datastructures as their_structures
import werkzeug.http as theirs
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures.cache_control import cache_control_property as their_property
from werkzeug.datastructures.csp import csp_property as their_csp_property

import carboy.http as ours
from black_box import evaluated, outcome

DIRECTIVES = ["max-age", "no-cache", "no-store", "private", "public", "s-maxage", "immutable"]
DIRECTIVES += ["max-stale", "min-fresh", "only-if-cached", "no-transform", "stale-if-error", "foo"]
DIRECTIVES += ["must-revalidate", "must-understand", "proxy-revalidate", "stale-while-revalidate"]
COMMON = ["max_age", "no_store", "no_transform", "stale_if_error", "no_cache"]
OF_REQUESTS = [*COMMON, "max_stale", "min_fresh", "only_if_cached"]
OF_RESPONSES = [*COMMON, "public", "private", "s_maxage", "immutable", "must_revalidate"]
OF_RESPONSES += ["must_understand", "proxy_revalidate", "stale_while_revalidate"]
FIELDS = st.lists(
    st.tuples(
        st.sampled_from(DIRECTIVES), st.sampled_from(["", "=5", "=x", '="a, b"', "=", "=1.5"])
    )
).map(lambda pairs: ", ".join(name + value for name, value in pairs))


@pytest.mark.parametrize("kind", ["RequestCacheControl", "ResponseCacheControl"])
@given(FIELDS)
def test_fields_are_parsed_as_in_werkzeug(kind: str, field: str) -> None:
    mine = ours.parse_cache_control_header(field, None, getattr(ours, kind))
    other = theirs.parse_cache_control_header(field, None, getattr(their_structures, kind))
    assert repr(mine) == repr(other)
    assert str(mine) == str(other)
    for name in OF_REQUESTS if kind.startswith("Request") else OF_RESPONSES:
        assert getattr(mine, name) == getattr(other, name), name


VALUES: list[Any] = [True, False, None, 0, 5, 2.7, "7", "x", "", "a b"]
CHANGES = st.lists(st.tuples(st.sampled_from([*OF_RESPONSES]), st.sampled_from([*VALUES, "del"])))


@given(CHANGES)
def test_a_response_gets_the_same_updates_as_in_werkzeug(changes: list[Any]) -> None:
    logs = []
    for library in (ours, their_structures):
        log: list[str] = []
        control = library.ResponseCacheControl(on_update=lambda v, log=log: log.append(str(v)))
        for name, value in changes:
            if value == "del":
                delattr(control, name)
            else:
                log.append(outcome(lambda: setattr(control, name, value)))
            log.append(repr(control) + repr(getattr(control, name)))
        logs.append(log)
    assert logs[0] == logs[1]


@pytest.mark.parametrize(
    "expression",
    [
        "setattr(r, 'max_age', 3)",
        "delattr(r, 'max_age')",
        "r.__setitem__('a', 'b')",
        "r.pop('max-age')",
        "r.update({})",
        "copy.copy(r), r.copy(), type(r.copy())",
        "hash(r) == hash(r)",
        "pickle.loads(pickle.dumps(r))",
        "r.to_header(), str(r), dict(r), r.on_update, r.provided",
        "hasattr(r, 'public'), hasattr(r, 'max_stale')",
    ],
)
def test_the_directives_of_a_request_are_those_of_werkzeug(expression: str) -> None:
    answers = []
    for library in (ours, theirs):
        r = library.parse_cache_control_header("max-age=5, no-cache")
        answers.append(evaluated(expression, {"r": r, "copy": copy, "pickle": pickle}))
    assert answers[0] == answers[1]


def test_a_subclass_can_add_directives() -> None:
    answers = []
    for library, make in ((ours, ours.cache_control_property), (their_structures, their_property)):
        kind = type(
            "Own",
            (library.ResponseCacheControl,),
            {"n": make("n", None, int), "b": make("b", None, bool), "z": make("z", "*", None)},
        )
        own = kind({"z": None, "x": 1})
        own.n, own.b = 5, True
        answers.append((str(own), own.n, own.b, own.z))
        own.z = True
        del own.n
        answers[-1] += (str(own), own.n, own.z)
    assert answers[0] == answers[1]


@pytest.mark.parametrize("source", [None, (), {}, {"a": "b c", "d": True, "e": 5}, [("a", "b")]])
def test_it_can_be_made_from_the_same_values_as_in_werkzeug(source: Any) -> None:
    for kind in ("RequestCacheControl", "ResponseCacheControl", "ContentSecurityPolicy"):
        mine, other = (getattr(library, kind)(source) for library in (ours, their_structures))
        assert (repr(mine), str(mine)) == (repr(other), str(other))
    assert repr(ours.parse_cache_control_header("")) == "<RequestCacheControl >"


# Content-Security-Policy

POLICIES = st.lists(
    st.sampled_from(["default-src 'self'", "img-src  * data:", " a b ", "", "script-src 'none' x"])
).map(";".join)
CSP_NAMES = [
    name for name in dir(their_structures.ContentSecurityPolicy) if name.endswith(("_src", "_uri"))
]
CSP_NAMES += ["sandbox", "form_action", "frame_ancestors", "plugin_types", "navigate_to"]
CSP_NAMES += ["report_to", "script_src_attr", "script_src_elem", "style_src_attr", "style_src_elem"]


@given(POLICIES)
def test_policies_are_parsed_as_in_werkzeug(policy: str) -> None:
    mine, other = ours.parse_csp_header(policy), theirs.parse_csp_header(policy)
    assert repr(mine) == repr(other)
    assert str(mine) == str(other) == ours.dump_csp_header(mine)
    for name in CSP_NAMES:
        assert getattr(mine, name) == getattr(other, name)


@given(st.lists(st.tuples(st.sampled_from(CSP_NAMES), st.sampled_from(["'self'", None, "del"]))))
def test_a_policy_reports_the_same_changes_as_in_werkzeug(changes: list[tuple[str, Any]]) -> None:
    logs = []
    for library in (ours, theirs):
        log: list[str] = []
        policy = library.parse_csp_header("img-src x", lambda v, log=log: log.append(str(v)))
        for name, value in changes:
            delattr(policy, name) if value == "del" else setattr(policy, name, value)
        logs.append([*log, str(policy)])
    assert logs[0] == logs[1]


def test_a_subclass_of_a_policy_can_add_directives() -> None:
    for base, make in (
        (ours.ContentSecurityPolicy, ours.csp_property),
        (their_structures.ContentSecurityPolicy, their_csp_property),
    ):
        policy = type("Own", (base,), {"own": make("own-src")})()
        policy.own = "x"
        assert (str(policy), policy.own) == ("own-src x", "x")


def test_a_directive_without_a_value_is_kept_while_werkzeug_drops_it() -> None:
    """Changing one directive must not lose `upgrade-insecure-requests`."""
    text = "default-src 'self'; upgrade-insecure-requests"
    policy = ours.parse_csp_header(text)
    policy.img_src = "*"
    assert str(policy) == f"{text}; img-src *"
    assert str(theirs.parse_csp_header(text)) == "default-src 'self'"
