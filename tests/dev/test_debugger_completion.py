"""Completion in the consoles of the debugger."""

from __future__ import annotations

import functools
from typing import Any

import pytest

import carboy
from carboy.dev.debugger.completion import Completion, completion

READ: list[str] = []


class Careful:
    """Its attributes must not be read for a proposal."""

    plain = 1

    @property
    def raises(self) -> None:
        READ.append("property")
        raise RuntimeError

    @functools.cached_property
    def cached(self) -> int:
        READ.append("cached")
        return 1

    def method(self) -> None: ...

    def takes(self, value: int) -> None: ...

    @classmethod
    def of_class(cls) -> None: ...

    @staticmethod
    def alone(value: int) -> None: ...

    def __getattr__(self, name: str) -> Any:
        READ.append(name)
        raise RuntimeError(name)


class Unlisted:
    def __init__(self) -> None:
        self.inside = 1

    def __dir__(self) -> list[str]:
        raise RuntimeError


NAMES = {
    "careful": Careful(),
    "Careful": Careful,
    "unlisted": Unlisted(),
    "request": carboy.request,  # outside of its context
    "settings": {"colour": 1, "col umn": 2, 7: 3, "nested": {"deep": [{"deeper": 1}]}},
    "größe": 1,
    "function": lambda: 0,
}
CASES = {
    "careful.": ("", "alone( cached method() of_class() plain raises takes("),
    "x = careful.p": ("p", "plain"),
    "Careful.me": ("me", "method("),
    "unlisted.": ("", "inside"),
    "careful.plain.bit_c": ("bit_c", "bit_count()"),
    "grö": ("grö", "größe"),
    "print(func": ("func", "function()"),
    "requ": ("requ", "request"),
    "request.pa": ("", ""),
    "settings['c": ("'c", "'col·umn'] 'colour']"),
    'settings["colo': ('"colo', '"colour"]'),
    "settings[": ("", "'col·umn'] 'colour'] 'nested'] 7]"),
    "settings['nested']['deep'][0][": ("", "'deeper']"),
    "settings['nested'].ke": ("ke", "keys("),
    "'text'.upp": ("upp", "upper()"),
    "import coll": ("coll", "collections"),
    "from os import getcwd, getpi": ("getpi", "getpid()".rstrip("()")),
    "function().a": ("", ""),
    "missing.a": ("", ""),
    "careful.raises.a": ("", ""),
    "settings['missing'].a": ("", ""),
    "(": ("", ""),
}


@pytest.mark.parametrize("text", CASES)
def test_what_follows_is_found_without_reading_it(text: str) -> None:
    READ.clear()
    typed, found = CASES[text]
    try:
        made = completion(text, NAMES)
    except Exception:  # the console proposes nothing
        made = Completion()
    if found:
        assert made == Completion(typed, tuple(name.replace("·", " ") for name in found.split()))
    else:
        assert made.found == ()
    assert (["property"] if text == "careful.raises.a" else []) == READ
