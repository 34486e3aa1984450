"""Which rule of an application matches a request, and why the others do not."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import zip_longest
from typing import Any
from urllib.parse import urlsplit

from carboy.routing import Map, Rule
from carboy.routing.description import RulePart, described

WEBSOCKET = "WEBSOCKET"  # in the place of a method: the request is a handshake
MATCHES = "✓"  # in front of the rule that matches


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule that matches the path when it is alone in a map; `why` it is not the winner."""

    rule: Any
    values: dict[str, Any]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Matched:
    """The rule that matches a request, or the `outcome` in words."""

    winner: Candidate | None
    outcome: str
    others: list[Candidate]


class Framework:
    """The routing API of the package that made a map: Carboy or the real Werkzeug."""

    def __init__(self, url_map: Any) -> None:
        self.is_ours = isinstance(url_map, Map)
        names = ("carboy.routing", "carboy.http.exceptions")
        if not self.is_ours:
            names = ("werkzeug.routing", "werkzeug.exceptions")
        self.routing, self.exceptions = map(importlib.import_module, names)


def matched(
    url_map: Any, method: str, path: str, server_name: str = "localhost", **place: str
) -> Matched:
    """Match a request as the application does, then match each rule alone.

    `place` may have a `subdomain`, as for Map.bind. The method WEBSOCKET means a handshake.
    """
    if method == WEBSOCKET:
        method, place = "GET", {**place, "url_scheme": "ws"}
    framework = Framework(url_map)
    routing, exceptions = framework.routing, framework.exceptions
    winner: Candidate | None = None
    outcome = ""
    try:
        rule, values = url_map.bind(server_name, **place).match(path, method, return_rule=True)
        winner = Candidate(rule, dict(values))
    except routing.RequestRedirect as redirect:
        outcome = f"{redirect.code} redirect to {redirect.new_url}"
    except exceptions.MethodNotAllowed as error:
        allowed = ", ".join(sorted(error.valid_methods or ()))
        outcome = f"405: the path only allows {allowed}"
    except routing.WebsocketMismatch:
        other = "not for" if "url_scheme" in place else "only for"
        outcome = f"400: the path is {other} WebSocket"
    except exceptions.NotFound:
        subdomain = place.get("subdomain", url_map.default_subdomain)
        here = server_name if url_map.host_matching else subdomain
        near = nearest(
            path, (r.rule for r in url_map.iter_rules() if here in (r.host, r.subdomain))
        )
        outcome = f"404: no rule matches; the nearest is {near}" if near else "404: no rule matches"
    except exceptions.HTTPException as error:
        outcome = f"{error.code}: {error.description}"
    others = [
        each
        for each in _candidates(framework, url_map, method, path, winner, server_name, **place)
        if winner is None or each.rule is not winner.rule
    ]
    return Matched(winner, outcome, others)


def is_matched(url_map: Any, environ: dict[str, Any]) -> bool:
    """Whether a rule matched the request of an environ, so that its view has been called."""
    request = environ.get("werkzeug.request")
    if request is not None and hasattr(request, "url_rule"):
        return request.url_rule is not None
    framework = Framework(url_map)
    try:
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        url_map.bind("localhost").match(path, environ["REQUEST_METHOD"])
    except framework.exceptions.HTTPException:
        return False
    return True


def nearest(path: str, rules: Iterable[str]) -> str | None:
    """The rule that is most similar to a path, with any values for its variables."""
    given = path.split("/")
    filled: dict[str, str] = {}
    for rule in rules:
        parts = zip_longest(rule.split("/"), given[: rule.count("/") + 1], fillvalue="")
        filled.setdefault("/".join(own if "<" in part else part for part, own in parts), rule)
    return next((filled[near] for near in get_close_matches(path, filled, n=1)), None)


def _candidates(
    framework: Framework,
    url_map: Any,
    method: str,
    path: str,
    winner: Candidate | None,
    server_name: str,
    **place: str,
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
            _, values = alone.bind(server_name, **place).match(path, method)
        except routing.RequestRedirect as redirect:
            yield Candidate(rule, {}, f"would redirect to {redirect.new_url}")
        except exceptions.MethodNotAllowed as error:
            yield Candidate(rule, {}, f"only allows {', '.join(sorted(error.valid_methods or ()))}")
        except exceptions.HTTPException:
            continue
        else:
            why = ""
            if winner is not None:
                why = difference(
                    *(as_ours(framework, url_map, each) for each in (winner.rule, rule))
                )
            yield Candidate(rule, dict(values), why)


def as_ours(framework: Framework, url_map: Any, rule: Any) -> Any:
    """The rule as one of Carboy's, which has parts; Werkzeug orders rules in the same way."""
    if framework.is_ours:
        return rule
    own = Rule(rule.rule, endpoint=rule.endpoint, host=rule.host, subdomain=rule.subdomain)
    usual = url_map.default_converters
    # Werkzeug's own converters do not say why they refuse a value; Carboy's accept the same.
    others = {
        name: kind for name, kind in url_map.converters.items() if kind is not usual.get(name)
    }
    Map([own], converters=others, host_matching=url_map.host_matching)
    return own


def difference(winner: Any, other: Any) -> str:
    """Why `other` does not win over `winner`, if both match."""
    first, second = described(winner), described(other)
    for ours, theirs in zip(first, second, strict=False):
        if ours.static and not theirs.static:
            return f"has a variable where the other has the text {ours.content!r}"
        if not ours.static and not theirs.static and _weight(ours) != _weight(theirs):
            return "is tried later: numbers come first, then text, then paths"
    if len(first) != len(second):
        return "takes more of the path with one variable"
    return "was added later"


def _weight(part: RulePart) -> tuple[Any, ...]:
    return tuple(part.weight)


def of_app(app: Any, method: str, address: str) -> list[str]:
    """Lines about the rule of an application that matches; `address` may have a host."""
    url = urlsplit(address)
    server, place = _place(app, url.netloc)
    return lines_for(matched(app.url_map, method, url.path, server, **place), method, address)


def _place(app: Any, host: str) -> tuple[str, dict[str, str]]:
    """Server name and subdomain to bind the map to, for a request to `host` ("": the default)."""
    server = app.config.get("SERVER_NAME") or host or "localhost"
    if not host or app.url_map.host_matching:
        return host or server, {}
    if not app.subdomain_matching or not app.config.get("SERVER_NAME"):
        return server, {}
    asked, own = (name.lower().partition(":")[0] for name in (host, server))
    if asked == own:
        return server, {}
    # A subdomain that no rule can have, so that no rule matches a foreign host.
    found = asked.removesuffix(f".{own}")
    return server, {"subdomain": found if found != asked else "<invalid>"}


def lines_for(found: Matched, method: str, path: str) -> list[str]:
    """Lines for the terminal."""
    lines = [f"{method} {path}"]
    if found.winner is not None:
        lines.append(f"  {MATCHES} {_line(found.winner)}")
    else:
        lines.append(f"  {'↪' if found.outcome.startswith('3') else '✗'} {found.outcome}")
    for each in found.others:
        lines.append(f"  · {_line(each)}")
        lines += [f"      {each.why}"] if each.why else []
    return lines


def _line(candidate: Candidate) -> str:
    values = ", ".join(f"{name}={value!r}" for name, value in candidate.values.items())
    given = f"  ({values})" if values else ""
    return f"{candidate.rule.rule} → {candidate.rule.endpoint}{given}"
