"""Why each rule of an application does not match a path, with the nearest rules first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from carboy.cli.matching import Framework, as_ours
from carboy.routing.syntax import Variable

LONGEST = 1000  # characters of a path that is compared with rules
# converter: what its values are
KINDS = {"int": "an integer", "float": "a decimal number", "uuid": "a UUID"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A rule, and which converter refuses which part of the path; "" if the texts differ."""

    rule: Any
    why: str
    likeness: float


def refusals(url_map: Any, path: str) -> list[Refusal]:
    """Each rule with its refusal of a path: refused by a converter first, then the most similar."""
    framework = Framework(url_map)
    found = [
        _refusal(rule, as_ours(framework, url_map, rule), path[:LONGEST])
        for rule in url_map.iter_rules()
    ]
    return sorted(found, key=lambda each: (not each.why, -each.likeness))


def _refusal(rule: Any, ours: Any, path: str) -> Refusal:
    tokens = ours._tokens[1]
    variables = [token for token in tokens if isinstance(token, Variable)]
    pattern = "".join(_pattern(token, ours) for token in tokens)
    match = re.fullmatch(pattern.removesuffix("/") + "/?", path)
    reasons: list[str] = []
    if match is not None:
        for variable, text in zip(variables, match.groups(), strict=True):
            reasons += _reasons(variable, ours._converters[variable.name], text)
    return Refusal(rule, "; ".join(reasons), _likeness(tokens, path))


def _pattern(token: str | Variable, rule: Any) -> str:
    """A pattern that accepts any value of a variable."""
    if isinstance(token, str):
        return re.escape(token)
    return "([^/]+)" if rule._converters[token.name].part_isolating else "(.+)"


def _reasons(variable: Variable, converter: Any, text: str) -> Iterator[str]:
    """Why a converter refuses a text, if it does."""
    try:
        if re.fullmatch(converter.regex, text):
            converter.to_python(text)
            return
        problem = ""
    except ValueError as error:
        problem = str(error).rstrip(".")
    kind = variable.converter
    if problem:
        yield f"{variable.name}: {problem}"
    elif kind in KINDS:
        yield f"{variable.name}: {text!r} is not {KINDS[kind]}"
    elif kind == "any":
        yield f"{variable.name}: {text!r} is not one of {', '.join(map(str, variable.args))}"
    else:
        yield f"{variable.name}: {text!r} is not accepted by the converter {kind!r}"


def _likeness(tokens: list[str | Variable], path: str) -> float:
    """Similarity to the rule with the path's own segments in place of its variables."""
    rule = "".join(token if isinstance(token, str) else "\0" for token in tokens).split("/")
    given = path.split("/")
    filled = [
        given[index] if "\0" in part and index < len(given) else part
        for index, part in enumerate(rule)
    ]
    return SequenceMatcher(None, "/".join(filled), path).ratio()
