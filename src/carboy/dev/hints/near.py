"""The names that are most similar to a mistyped one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher, get_close_matches

MOST = 5000  # names that are compared
LONGEST = 60  # characters of a name that is compared
ALIKE = 0.65  # a name below this similarity is not proposed,
SHORT, SHORT_ALIKE = 3, 0.75  # letters of a short name, and the similarity that it needs
CLOSER = 0.1  # nor is one that is less similar than the best by more than this


def near(name: object, names: Iterable[object], alike: float = ALIKE) -> list[str]:
    """The most similar of some names, up to three."""
    if not isinstance(name, str) or len(name) > LONGEST:
        return []
    known = [each for each in names if isinstance(each, str) and len(each) <= LONGEST][:MOST]
    lower: dict[str, list[str]] = {}
    for each in known:
        lower.setdefault(each.lower(), []).append(each)
    asked = name.lower()
    found = get_close_matches(asked, lower, n=3, cutoff=alike)
    if len(name) <= SHORT:  # most names of so few letters are similar
        found = [
            each for each in found if _ratio(asked, each) >= SHORT_ALIKE or _swapped(asked, each)
        ]
    best = _ratio(asked, found[0]) if found else 0.0
    spelled = [
        max(lower[each], key=lambda each: _ratio(name, each))
        for each in found
        if _ratio(asked, each) >= best - CLOSER
    ]
    return [each for each in spelled if each != name]


def _ratio(name: str, other: str) -> float:
    # The arguments are in the order of get_close_matches; the result depends on it.
    return SequenceMatcher(None, other, name).ratio()


def _swapped(name: str, other: str) -> bool:
    return sorted(name) == sorted(other)


def did_you_mean(name: object, names: Iterable[object]) -> Iterator[str]:
    """A question with the most similar names, if there are any."""
    if found := near(name, names):
        yield question(found)


def question(names: Iterable[str]) -> str:
    """The names in a question."""
    return f"Did you mean {' or '.join(map(repr, names))}?"
