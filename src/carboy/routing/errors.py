"""The exceptions of routing.

RoutingException
├── RequestRedirect     the canonical URL is another one; also a 308 response
├── RequestPath         the path has to be redirected to its normal form
├── RequestAliasRedirect  the rule is an alias of another one
└── BuildError          no URL for this endpoint and these values
BadRequest
└── WebsocketMismatch   a WebSocket rule for an HTTP request, or the other way round
NoMatch                 internal to matching; MapAdapter.match raises a 404, 405 or 400
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from carboy.http.exceptions import BadRequest, HTTPException
from carboy.http.response.redirects import redirect

# Weights for the search of the rule that was meant in a BuildError: the name decides, the values
# and the method only among equally similar names.
NAME_WEIGHT, DETAIL_WEIGHT = 0.98, 0.01


class RoutingException(Exception):
    """Base of the exceptions for a request that does not simply match a rule."""


class RequestRedirect(HTTPException, RoutingException):
    """Redirects the client to `new_url`. The code 308 keeps the method and the body."""

    code = 308

    def __init__(self, new_url: str) -> None:
        super().__init__(new_url)
        self.new_url = new_url

    def get_response(self, environ: Any = None, scope: Any = None) -> Any:
        """A redirect, with a page for clients that do not follow it automatically."""
        return redirect(self.new_url, self.code)


class RequestPath(RoutingException):
    """The request has to be redirected to `path_info` (a slash added, or slashes merged)."""

    __slots__ = ("path_info",)

    def __init__(self, path_info: str) -> None:
        super().__init__(path_info)
        self.path_info = path_info


class RequestAliasRedirect(RoutingException):
    """The matched rule is an alias. The canonical URL is the URL of `endpoint`."""

    def __init__(self, matched_values: Mapping[str, Any], endpoint: Any) -> None:
        super().__init__()
        self.matched_values = matched_values
        self.endpoint = endpoint


class WebsocketMismatch(BadRequest):
    """Only a WebSocket rule matched an HTTP request, or only an HTTP rule a WebSocket one."""


class NoMatch(Exception):
    """No rule matches. Has the methods of other rules, and whether a WebSocket rule matches."""

    __slots__ = ("have_match_for", "websocket_mismatch")

    def __init__(self, have_match_for: set[str], websocket_mismatch: bool) -> None:
        super().__init__(have_match_for, websocket_mismatch)
        self.have_match_for = have_match_for
        self.websocket_mismatch = websocket_mismatch


class BuildError(RoutingException, LookupError):
    """A URL cannot be built. `suggested` is the rule that was probably meant, or None."""

    def __init__(
        self,
        endpoint: Any,
        values: Mapping[str, Any],
        method: str | None,
        adapter: Any = None,
    ) -> None:
        super().__init__(endpoint, values, method)
        self.endpoint = endpoint
        self.values = values
        self.method = method
        self.adapter = adapter
        self._searched = False
        self._suggested: Any = None

    @property
    def suggested(self) -> Any:
        """The rule that was probably meant; searched when first used."""
        if not self._searched:
            self._suggested = self.closest_rule(self.adapter)
            self._searched = True
        return self._suggested

    def closest_rule(self, adapter: Any) -> Any:
        """The most similar rule of the map: by name, then by values and method."""
        if adapter is None:
            return None
        from difflib import SequenceMatcher

        def similarity(rule: Any) -> float:
            name = SequenceMatcher(None, str(rule.endpoint), str(self.endpoint)).ratio()
            fits = set(self.values or ()) <= rule.arguments
            allowed = bool(rule.methods and self.method in rule.methods)
            return NAME_WEIGHT * name + DETAIL_WEIGHT * (int(fits) + int(allowed))

        return max(adapter.map.iter_rules(), key=similarity, default=None)

    def __str__(self) -> str:
        # Exactly Flask's text, because tests of applications compare these suggestions.
        method = f" ({self.method!r})" if self.method is not None else ""
        given = f" with values {sorted(map(str, self.values))!r}" if self.values else ""
        return f"Could not build url for endpoint {self.endpoint!r}{method}{given}.{self._hint()}"

    def _hint(self) -> str:
        rule = self.suggested
        if rule is None:
            return ""
        if rule.endpoint != self.endpoint:
            return f" Did you mean {rule.endpoint!r} instead?"
        hints = ""
        if self.method is not None and rule.methods is not None and self.method not in rule.methods:
            hints += f" Did you mean to use methods {sorted(rule.methods)!r}?"
        missing = rule.arguments.difference(self.values or (), rule.defaults or ())
        if missing:
            hints += f" Did you forget to specify values {sorted(missing)!r}?"
        return hints
