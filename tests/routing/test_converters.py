from __future__ import annotations

from uuid import UUID

import pytest
import werkzeug.routing

import carboy.routing
from carboy.routing import Map, ValidationError

MADE = [
    ("UnicodeConverter", {}),
    ("UnicodeConverter", {"length": 3}),
    ("UnicodeConverter", {"minlength": 2, "maxlength": 5}),
    ("PathConverter", {}),
    ("IntegerConverter", {}),
    ("IntegerConverter", {"signed": True}),
    ("IntegerConverter", {"fixed_digits": 3, "min": 2, "max": 200}),
    ("FloatConverter", {"min": 1, "max": 2.5}),
    ("FloatConverter", {"signed": True}),
    ("UUIDConverter", {}),
]


def tried(call, *args):
    try:
        return call(*args)
    except Exception as error:
        return type(error).__name__


@pytest.mark.parametrize(("name", "options"), MADE)
@pytest.mark.parametrize(
    "value", ["3", "003", "-2", "x", "", "2.0", "1e3", "é /?", "12345678123456781234567812345678"]
)
def test_converters_agree_with_werkzeug(name: str, options: dict, value: str) -> None:
    theirs = getattr(werkzeug.routing, name)(werkzeug.routing.Map(), **options)
    ours = getattr(carboy.routing, name)(Map(), **options)
    assert (ours.regex, ours.weight, ours.part_isolating) == (
        theirs.regex,
        theirs.weight,
        theirs.part_isolating,
    )
    assert tried(ours.to_python, value) == tried(theirs.to_python, value)
    assert tried(ours.to_url, value) == tried(theirs.to_url, value)


def test_any_builds_only_its_words() -> None:
    converter = carboy.routing.AnyConverter(Map(), "a", "b.c")
    assert converter.regex == r"(?:a|b\.c)"
    assert converter.to_url("a") == "a"
    with pytest.raises(ValueError, match=r"is not one of 'a', 'b\.c'"):
        converter.to_url("d")


def test_the_uuid_converter_makes_a_uuid() -> None:
    text = "12345678-1234-5678-1234-567812345678"
    assert carboy.routing.UUIDConverter(Map()).to_python(text) == UUID(text)


def test_a_validation_error_is_a_value_error() -> None:
    assert issubclass(ValidationError, ValueError)
