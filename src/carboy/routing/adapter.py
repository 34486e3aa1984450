"""A map bound to a server and a request, which matches paths and builds URLs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from carboy.http.containers.multidict import MultiDict
from carboy.http.exceptions import HTTPException, MethodNotAllowed, NotFound
from carboy.late import compiled_later, parse
from carboy.routing.build import encode_query
from carboy.routing.converters import quote_path
from carboy.routing.errors import (
    BuildError,
    NoMatch,
    RequestPath,
    RequestRedirect,
    WebsocketMismatch,
)

if TYPE_CHECKING:
    from carboy.routing.fast_build import FastBuild
    from carboy.routing.interface import MapSettings
    from carboy.routing.rule import Rule
    from carboy.routing.trie import Search, StateMachineMatcher

    class AdaptedMap(MapSettings, Protocol):
        """A map, as its adapters see it."""

        _fast_builds: dict[Any, FastBuild | None]
        _matcher: StateMachineMatcher
        _pending: list[Rule]
        _rules_by_endpoint: dict[Any, list[Rule]]

        def update(self) -> None: ...
        def lookup(self, method: str, path: str) -> tuple[Rule, dict[str, Any]] | None: ...
        def _fast_builder(self, endpoint: Any) -> FastBuild | None: ...


_TARGET_VARIABLE = compiled_later("<([^>]+)>")
# A method that no rule allows: the error lists the methods that the rules allow.
NO_METHOD = "--"
SECURE = {"https", "wss"}
UNKNOWN = object()  # an endpoint without a result of `fast_builder`, which may be None


def matched_rule(search: Search) -> tuple[Rule, dict[str, Any]]:
    """The rule and values of a search, which do not depend on the name of the server.

    Raises NotFound, MethodNotAllowed (with the allowed methods), WebsocketMismatch, or RequestPath
    if the client has to be redirected.
    """
    try:
        return search.result()
    except NoMatch as none:
        if none.have_match_for:
            raise MethodNotAllowed(valid_methods=list(none.have_match_for)) from None
        if none.websocket_mismatch:
            raise WebsocketMismatch() from None
        raise NotFound() from None


class MapAdapter:
    """Matches paths of one server and builds URLs relative to it. `Map.bind` makes it."""

    def __init__(
        self,
        map: AdaptedMap,
        server_name: str,
        script_name: str,
        subdomain: str | None,
        url_scheme: str,
        path_info: str,
        default_method: str,
        query_args: Mapping[str, Any] | str | None = None,
    ) -> None:
        self.map = map
        self.server_name = server_name
        self.script_name = script_name if script_name.endswith("/") else f"{script_name}/"
        self.subdomain = subdomain
        self.url_scheme = url_scheme
        self.path_info = path_info
        self.default_method = default_method
        self.query_args = query_args
        self.websocket = url_scheme in {"ws", "wss"}

    def dispatch(
        self,
        view_func: Callable[[Any, Mapping[str, Any]], Any],
        path_info: str | None = None,
        method: str | None = None,
        catch_http_exceptions: bool = False,
    ) -> Any:
        """Match the path and call `view_func(endpoint, values)`.

        A redirect is returned as a response. Other HTTP errors are returned if
        `catch_http_exceptions` is set.
        """
        try:
            try:
                endpoint, values = self.match(path_info, method)
            except RequestRedirect as redirect:
                return redirect
            return view_func(endpoint, values)
        except HTTPException as error:
            if catch_http_exceptions:
                return error
            raise

    def match(
        self,
        path_info: str | None = None,
        method: str | None = None,
        return_rule: bool = False,
        query_args: Mapping[str, Any] | str | None = None,
        websocket: bool | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """The endpoint (or rule) and values for a path.

        Raises RequestRedirect, NotFound, MethodNotAllowed (with the allowed methods) and
        WebsocketMismatch.
        """
        path_info = self.path_info if path_info is None else path_info
        query_args = (self.query_args or {}) if query_args is None else query_args
        method = (method or self.default_method).upper()
        websocket = self.websocket if websocket is None else websocket
        rule, values = self._find(path_info, method, query_args, websocket)
        redirect = self._redirect(rule, values, method, query_args)
        if redirect is not None:
            raise RequestRedirect(redirect)
        return (rule if return_rule else rule.endpoint), values

    def _find(
        self, path_info: str, method: str, query_args: Mapping[str, Any] | str, websocket: bool
    ) -> tuple[Rule, dict[str, Any]]:
        self.map.update()
        domain = self.server_name if self.map.host_matching else (self.subdomain or "")
        if domain == self.map.default_subdomain and not websocket:
            found = self.map.lookup(method, path_info)
            if found is not None:
                return found
        path = f"/{path_info.lstrip('/')}" if path_info else ""
        try:
            return matched_rule(self.map._matcher.search(domain, path, method, websocket))
        except RequestPath as other:
            target = self.make_redirect_url(quote_path(other.path_info), query_args)
            raise RequestRedirect(target) from None

    def _redirect(
        self,
        rule: Rule,
        values: dict[str, Any],
        method: str,
        query_args: Mapping[str, Any] | str,
    ) -> str | None:
        """The URL to redirect a match to, or None."""
        if rule._direct:
            return None
        if self.map.redirect_defaults:
            if rule.alias:
                path = f"{'|'.join((self.subdomain or '', self.path_info))}"
                return self.make_alias_redirect_url(path, rule.endpoint, values, method, query_args)
            found = self.get_default_redirect(rule, method, values, query_args)
            if found is not None:
                return found
        if rule.redirect_to is None:
            return None
        return parse.urljoin(
            f"{self.url_scheme or 'http'}://{self.get_host(None)}{self.script_name}",
            self._target(rule, values),
        )

    def _target(self, rule: Rule, values: dict[str, Any]) -> str:
        """The target of a rule with `redirect_to`."""
        if callable(rule.redirect_to):
            return rule.redirect_to(self, **values)

        def text(found: re.Match[str]) -> str:
            return rule._converters[found[1]].to_url(values[found[1]])

        return _TARGET_VARIABLE.sub(text, str(rule.redirect_to))

    def test(self, path_info: str | None = None, method: str | None = None) -> bool:
        """Whether the path matches or is redirected."""
        try:
            self.match(path_info, method)
        except RequestRedirect:
            return True
        except HTTPException:
            return False
        return True

    def allowed_methods(self, path_info: str | None = None) -> list[str]:
        """The methods that the rules of this path allow."""
        try:
            self.match(path_info, method=NO_METHOD)
        except MethodNotAllowed as error:
            return list(error.valid_methods or ())
        except HTTPException:
            pass
        return []

    def get_host(self, domain_part: str | None) -> str:
        """The host for the domain part of a rule; None means the host of the adapter."""
        if self.map.host_matching:
            return self.server_name if domain_part is None else domain_part
        subdomain = self.subdomain if domain_part is None else domain_part
        return f"{subdomain}.{self.server_name}" if subdomain else self.server_name

    def get_default_redirect(
        self,
        rule: Rule,
        method: str,
        values: dict[str, Any],
        query_args: Mapping[str, Any] | str,
    ) -> str | None:
        """The URL of the rule whose defaults equal the matched values, or None."""
        for other in rule._provides_defaults:
            if other.suitable_for(values, method):
                built = other.build({**values, **(other.defaults or {})})
                if built is not None:
                    return self.make_redirect_url(built[1], query_args, domain_part=built[0])
        return None

    def encode_query_args(self, query_args: Mapping[str, Any] | str) -> str:
        """The arguments as a query string; a string is returned unchanged."""
        return query_args if isinstance(query_args, str) else encode_query(query_args)

    def make_redirect_url(
        self,
        path_info: str,
        query_args: Mapping[str, Any] | str | None = None,
        domain_part: str | None = None,
    ) -> str:
        """An absolute URL for an encoded path. It gets one leading slash, so it is never a host."""
        query = query_args or self.query_args
        suffix = f"?{self.encode_query_args(query)}" if query else ""
        path = f"{self._prefix()}/{path_info.lstrip('/')}"
        return f"{self.url_scheme or 'http'}://{self.get_host(domain_part)}{path}{suffix}"

    def _prefix(self) -> str:
        """The prefix of the application, without a trailing slash."""
        prefix = self.script_name.rstrip("/")
        return f"/{prefix.lstrip('/')}" if prefix.startswith("//") else prefix

    def make_alias_redirect_url(
        self,
        path: str,
        endpoint: Any,
        values: Mapping[str, Any],
        method: str,
        query_args: Mapping[str, Any] | str,
    ) -> str:
        """The canonical URL for an alias."""
        url = self.build(endpoint, values, method, append_unknown=False, force_external=True)
        return f"{url}?{self.encode_query_args(query_args)}" if query_args else url

    def build(
        self,
        endpoint: Any,
        values: Mapping[str, Any] | None = None,
        method: str | None = None,
        force_external: bool = False,
        append_unknown: bool = True,
        url_scheme: str | None = None,
    ) -> str:
        """The URL of an endpoint: a path, or an absolute URL for another host or `force_external`.

        With `append_unknown`, values that the rule does not name become the query. A value of None
        is left out. Raises BuildError, which knows the closest rule, if there is no such URL.
        """
        if method is None:
            build: Any = self.map._fast_builds.get(endpoint, UNKNOWN)
            if build is UNKNOWN:
                build = self.map._fast_builder(endpoint)
            path: str | None = build(values, append_unknown) if build is not None else None
            if path is not None:
                if self.script_name != "/":
                    path = self._prefix() + path
                if not force_external and self.subdomain == self.map.default_subdomain:
                    return path
                return self._absolute(self.map.default_subdomain, path, url_scheme)
        return self._build(endpoint, values, method, force_external, append_unknown, url_scheme)

    def _build(
        self,
        endpoint: Any,
        values: Mapping[str, Any] | None,
        method: str | None,
        force_external: bool,
        append_unknown: bool,
        url_scheme: str | None,
    ) -> str:
        if self.map._pending:
            self.map.update()
        values = _given(values)
        found = self._partial_build(endpoint, values, method, append_unknown)
        if found is None:
            raise BuildError(endpoint, values, method, self)
        domain, path, websocket = found
        path = f"{self._prefix()}/{path.lstrip('/')}"
        own = self.server_name if self.map.host_matching else self.subdomain
        if not force_external and not websocket and domain == own:
            return path
        return self._absolute(domain, path, url_scheme, websocket)

    def _absolute(
        self, domain: str, path: str, url_scheme: str | None, websocket: bool = False
    ) -> str:
        """The URL with its host, and with the scheme of its kind unless that is empty."""
        scheme = self.url_scheme if url_scheme is None else url_scheme
        if websocket:
            leader = "wss:" if scheme in SECURE else "ws:"
        else:
            leader = ("https:" if scheme in SECURE else "http:") if scheme else ""
        return f"{leader}//{self.get_host(domain)}{path}"

    def _partial_build(
        self, endpoint: Any, values: Mapping[str, Any], method: str | None, append_unknown: bool
    ) -> tuple[str, str, bool] | None:
        """Domain, path and kind from the first suitable rule; the default method is tried first."""
        if method is None:
            found = self._partial_build(endpoint, values, self.default_method, append_unknown)
            if found is not None:
                return found
        first = None
        for rule in self.map._rules_by_endpoint.get(endpoint, ()):
            built = (
                rule.build(values, append_unknown) if rule.suitable_for(values, method) else None
            )
            if built is None:
                continue
            found = (built[0], built[1], rule.websocket)
            if not self.map.host_matching or built[0] == self.server_name:
                return found
            first = first or found
        return first


def _given(values: Mapping[str, Any] | None) -> dict[str, Any]:
    """The values that are not None. A name of a MultiDict keeps its value, also None, or its list
    of several values."""
    if not values:
        return {}
    if isinstance(values, MultiDict):
        lists = values.lists()
        return {key: found[0] if len(found) == 1 else found for key, found in lists if found}
    return {key: value for key, value in values.items() if value is not None}
