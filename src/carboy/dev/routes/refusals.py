"""Why each rule of an application does not match a path, with the nearest rules first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from carboy.dev.routes.matching import Framework, as_ours
from carboy.routing.syntax import Variable

LONGEST = 1000  # characters of a path that is compared with rules
# converter: what its values are
KINDS = {"int": "an integer", "float": "a decimal number", "uuid": "a UUID"}
FILLED = 0.05  # a segment that a variable accepts says less than one that is the same
HERE = "<any>"  # the host of a request that is not known


@dataclass(frozen=True, slots=True)
class Refusal:
    """A rule, and which converter refuses which part of the path; "" if the texts differ."""

    rule: Any
    why: str
    likeness: float


def refusals(url_map: Any, path: str, host: str = HERE) -> list[Refusal]:
    """Each rule with its refusal of a path: refused by a converter first, then the most similar."""
    framework = Framework(url_map)
    found = [
        _refusal(framework, url_map, rule, path[:LONGEST], host)
        for rule in url_map.iter_rules()
        if not rule.build_only
    ]
    return sorted(found, key=lambda each: (not each.why, -each.likeness))


def _refusal(framework: Framework, url_map: Any, rule: Any, path: str, host: str) -> Refusal:
    try:
        ours = as_ours(framework, url_map, rule)
        tokens = ours._tokens[1]
        reasons = list(_refused(url_map, ours, tokens, path, host))
    except Exception:  # a converter of the application that does not work on its own
        return Refusal(rule, "", 0.0)
    return Refusal(rule, "; ".join(reasons), _likeness(tokens, path))


def _refused(
    url_map: Any, rule: Any, tokens: list[str | Variable], path: str, host: str
) -> Iterator[str]:
    variables = [token for token in tokens if isinstance(token, Variable)]
    pattern = "".join(_pattern(token, rule) for token in tokens)
    match = re.fullmatch(pattern.removesuffix("/") + "(/?)", path)
    if match is None:
        return
    *texts, slash = match.groups()
    for variable, text in zip(variables, texts, strict=True):
        yield from _reasons(variable, rule._converters[variable.name], text)
    if slash and not pattern.endswith("/") and url_map.strict_slashes:
        yield "the path ends with a slash, and the route does not"
    yield from _elsewhere(url_map, rule, host)
    if rule.websocket:
        yield "the route is for WebSocket only"


def _elsewhere(url_map: Any, rule: Any, host: str) -> Iterator[str]:
    """Why a rule does not belong to the host of the request."""
    if host == HERE:
        return
    name = host.partition(":")[0].lower()
    if url_map.host_matching:
        if rule.host and "<" not in rule.host and rule.host.lower() not in (host.lower(), name):
            yield f"the route is for the host {rule.host}"
    elif rule.subdomain and "<" not in rule.subdomain and name.split(".")[0] != rule.subdomain:
        yield f"the route is for the subdomain {rule.subdomain!r}"


def _pattern(token: str | Variable, rule: Any) -> str:
    """A pattern that accepts any value of a variable."""
    if isinstance(token, str):
        return re.escape(token)
    return "([^/]+)" if rule._converters[token.name].part_isolating else "(.+)"


def _reasons(variable: Variable, converter: Any, text: str) -> Iterator[str]:
    """Why a converter refuses a text, if it does."""
    fits = re.fullmatch(converter.regex, text) is not None
    problem = ""
    if fits:
        try:
            converter.to_python(text)
            return
        except ValueError as error:
            problem = str(error).rstrip(".")
    kind = variable.converter
    if problem:
        yield f"{variable.name}: {problem}"
    elif kind in KINDS and not fits:
        yield f"{variable.name}: {text!r} is not {KINDS[kind]}"
    elif kind == "any":
        yield f"{variable.name}: {text!r} is not one of {', '.join(map(str, variable.args))}"
    elif kind in ("string", "default") and variable.kwargs:
        yield f"{variable.name}: {text!r} has {_lengths(len(text), **variable.kwargs)}"
    else:
        yield f"{variable.name}: {text!r} is not accepted by the converter {kind!r}"


def _lengths(
    length_of_text: int,
    minlength: int = 1,
    maxlength: int | None = None,
    length: int | None = None,
) -> str:
    found = f"{length_of_text} character{'s' if length_of_text != 1 else ''}"
    if length is not None:
        return f"{found}, not {length}"
    if length_of_text < minlength:
        return f"{found}, which is fewer than {minlength}"
    return f"{found}, which is more than {maxlength}"


def _likeness(tokens: list[str | Variable], path: str) -> float:
    """Similarity to the rule with the path's own segments in place of its variables."""
    rule = "".join(token if isinstance(token, str) else "\0" for token in tokens).split("/")
    given = path.split("/")
    ends = (_filled(rule, given), _filled(rule[::-1], given[::-1])[::-1])
    ratio = max(SequenceMatcher(None, "/".join(parts), path).ratio() for parts in ends)
    return ratio - FILLED * sum("\0" in part for part in rule)


def _filled(rule: list[str], given: list[str]) -> list[str]:
    return [
        given[index] if "\0" in part and index < len(given) else part
        for index, part in enumerate(rule)
    ]
