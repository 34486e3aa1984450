"""Which rule of an application answers a request, and why none of the others."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from carboy.routing import Map, Rule
from carboy.routing.described import RulePart, described


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule that fits the path, alone in a map: `why` says what keeps it from the answer."""

    rule: Any
    values: dict[str, Any]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Matched:
    """What becomes of a request: the rule that wins, or `outcome` in words."""

    winner: Candidate | None
    outcome: str
    others: list[Candidate]


class Framework:
    """The names of Werkzeug's API, from where the map comes: Carboy or the real Werkzeug."""

    def __init__(self, url_map: Any) -> None:
        self.is_ours = isinstance(url_map, Map)
        names = ("carboy.routing", "carboy.http.exceptions")
        if not self.is_ours:
            names = ("werkzeug.routing", "werkzeug.exceptions")
        self.routing, self.exceptions = map(importlib.import_module, names)


def matched(url_map: Any, method: str, path: str, server_name: str = "localhost") -> Matched:
    """Match as the application does; then each rule by itself, by the same machine."""
    framework = Framework(url_map)
    routing, exceptions = framework.routing, framework.exceptions
    winner: Candidate | None = None
    outcome = ""
    try:
        rule, values = url_map.bind(server_name).match(path, method, return_rule=True)
        winner = Candidate(rule, dict(values))
    except routing.RequestRedirect as redirect:
        outcome = f"{redirect.code} redirect to {redirect.new_url}"
    except exceptions.MethodNotAllowed as error:
        allowed = ", ".join(sorted(error.valid_methods or ()))
        outcome = f"405: the path is there, for {allowed}"
    except exceptions.NotFound:
        outcome = "404: no rule fits"
    except exceptions.HTTPException as error:
        outcome = f"{error.code}: {error.description}"
    others = [
        each
        for each in _candidates(framework, url_map, method, path, server_name, winner)
        if winner is None or each.rule is not winner.rule
    ]
    return Matched(winner, outcome, others)


def _candidates(
    framework: Framework,
    url_map: Any,
    method: str,
    path: str,
    server_name: str,
    winner: Candidate | None,
) -> Iterator[Candidate]:
    routing, exceptions = framework.routing, framework.exceptions
    for rule in url_map.iter_rules():
        alone = routing.Map(
            [rule.empty()],
            default_subdomain=url_map.default_subdomain,
            strict_slashes=url_map.strict_slashes,
            merge_slashes=url_map.merge_slashes,
            redirect_defaults=False,
            converters=url_map.converters,
            host_matching=url_map.host_matching,
        )
        try:
            _, values = alone.bind(server_name).match(path, method)
        except routing.RequestRedirect as redirect:
            yield Candidate(rule, {}, f"would redirect to {redirect.new_url}")
        except exceptions.MethodNotAllowed as error:
            yield Candidate(rule, {}, f"is for {', '.join(sorted(error.valid_methods or ()))}")
        except exceptions.HTTPException:
            continue
        else:
            why = ""
            if winner is not None:
                why = difference(*(_ours(framework, url_map, each) for each in (winner.rule, rule)))
            yield Candidate(rule, dict(values), why)


def _ours(framework: Framework, url_map: Any, rule: Any) -> Any:
    """The rule as one of Carboy's, which can be taken apart; Werkzeug's has the same order."""
    if framework.is_ours:
        return rule
    own = Rule(rule.rule, endpoint=rule.endpoint, host=rule.host, subdomain=rule.subdomain)
    Map([own], converters=url_map.converters, host_matching=url_map.host_matching)
    return own


def difference(winner: Any, other: Any) -> str:
    """Why `winner` comes first of two rules that both fit."""
    first, second = described(winner), described(other)
    for ours, theirs in zip(first, second, strict=False):
        if ours.static and not theirs.static:
            return f"has a variable where the other has the text {ours.content!r}"
        if not ours.static and not theirs.static and _weight(ours) != _weight(theirs):
            return "its converter is tried later (by weight: int and float, then text, then path)"
    if len(first) != len(second):
        return "takes more of the path with one variable"
    return "was added later"


def _weight(part: RulePart) -> tuple[Any, ...]:
    return tuple(part.weight)


def of_app(app: Any, method: str, path: str) -> list[str]:
    """Lines about which rule of an application answers, or does not."""
    server = app.config.get("SERVER_NAME") or "localhost"
    return told(matched(app.url_map, method, path, server), method, path)


def told(found: Matched, method: str, path: str) -> list[str]:
    """Lines for the terminal."""
    lines = [f"{method} {path}"]
    if found.winner is not None:
        lines.append(f"  ✓ {_line(found.winner)}")
    else:
        lines.append(f"  ✗ {found.outcome}")
    lines += [f"  · {_line(each)}  {each.why}".rstrip() for each in found.others]
    return lines


def _line(candidate: Candidate) -> str:
    values = ", ".join(f"{name}={value!r}" for name, value in candidate.values.items())
    given = f"  ({values})" if values else ""
    return f"{candidate.rule.rule} → {candidate.rule.endpoint}{given}"
