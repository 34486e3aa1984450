from __future__ import annotations

import pytest
import werkzeug.routing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carboy.routing import parse_converter_args
from carboy.routing.syntax import Variable, parse_rule


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a",
        "a, b",
        "a=1, b",
        "1, 2.5, 01, 1_0, .5, 1.",
        "True, False, None, true",
        "'a b', \"c,d\", x='it\"s'",
        "a.b, 1.5.2, 1abc, 0x1",
        "é",
        "a,",
        "u'a', r'b'",
        "a = 'b' , c",
    ],
)
def test_arguments_are_parsed_as_in_werkzeug(text: str) -> None:
    assert parse_converter_args(text) == werkzeug.routing.parse_converter_args(text)


@pytest.mark.parametrize("text", ["a b", "a,,b", "=b", '"x', "a:b", "'a' 'b'", "a=b=c", "(", "a="])
def test_arguments_that_cannot_be_parsed_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="(?i)cannot (be read|parse)"):
        parse_converter_args(text)


def test_numbers_may_have_a_sign_which_werkzeug_refuses() -> None:
    assert parse_converter_args("min=-3, +4, -2.5") == ((4, -2.5), {"min": -3})


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(alphabet="ab1,=.'\" -_", max_size=12))
def test_arguments_that_both_accept_have_the_same_values(text: str) -> None:
    try:
        theirs = werkzeug.routing.parse_converter_args(text)
        ours = parse_converter_args(text)
    except ValueError:
        return
    assert ours == theirs


def test_quoted_arguments_may_contain_brackets_and_slashes() -> None:
    (_, variable) = parse_rule('/<any("a)b","c:d>","e/f"):x>')
    assert isinstance(variable, Variable)
    assert (variable.name, variable.converter) == ("x", "any")
    assert (variable.args, variable.kwargs) == (("a)b", "c:d>", "e/f"), {})


def test_a_rule_without_variables_is_one_text() -> None:
    assert parse_rule("/a>b|c") == ["/a>b|c"]
