"""The map of all URL rules of an application, and the host names that it is bound to."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any

from carboy.http.exceptions import BadHost
from carboy.http.request.url import get_host as host_of
from carboy.http.wsgi import _get_environ, environ_text
from carboy.routing.adapter import MapAdapter
from carboy.routing.converters import DEFAULT_CONVERTERS, BaseConverter
from carboy.routing.fast_build import FastBuild, fast_builder
from carboy.routing.fast_path import FastPath, leads_nowhere, step, walk
from carboy.routing.rule import Rule, RuleFactory
from carboy.routing.trie import NOTHING, Search, StateMachineMatcher

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Map:
    """Rules and their common settings; `bind` makes the adapter that matches and builds URLs.

    `strict_slashes` redirects `/a` to the branch `/a/`; `merge_slashes` redirects `/a//b` to
    `/a/b`; `redirect_defaults` redirects to the rule that has the matched values as its
    defaults, and from an alias; `host_matching` matches whole hosts instead of subdomains.
    `converters` are added to the default ones; `sort_parameters` sorts queries by `sort_key`.
    """

    default_converters = DEFAULT_CONVERTERS
    lock_class: Callable[[], Any] = Lock

    def __init__(
        self,
        rules: Iterable[RuleFactory] | None = None,
        default_subdomain: str = "",
        strict_slashes: bool = True,
        merge_slashes: bool = True,
        redirect_defaults: bool = True,
        converters: Mapping[str, type[BaseConverter]] | None = None,
        sort_parameters: bool = False,
        sort_key: Callable[[tuple[Any, Any]], Any] | None = None,
        host_matching: bool = False,
    ) -> None:
        self.default_subdomain = default_subdomain
        self.strict_slashes = strict_slashes
        self.redirect_defaults = redirect_defaults
        self.host_matching = host_matching
        self.converters: dict[str, type[BaseConverter]] = {
            **self.default_converters,
            **(converters or {}),
        }
        self.sort_parameters = sort_parameters
        self.sort_key = sort_key
        self._matcher = StateMachineMatcher(merge_slashes)
        self._rules_by_endpoint: dict[Any, list[Rule]] = {}
        self._lock = type(self).lock_class()
        self._pending: list[Rule] = []
        # Rebuilt from the rules above; empty while rules are pending.
        self._fast_path = FastPath()
        self._fast_builds: dict[Any, FastBuild | None] = {}
        for factory in rules or ():
            self.add(factory)

    @property
    def merge_slashes(self) -> bool:
        """Whether `/a//b` is redirected to `/a/b`."""
        return self._matcher.merge_slashes

    @merge_slashes.setter
    def merge_slashes(self, value: bool) -> None:
        self._matcher.merge_slashes = value

    def add(self, rulefactory: RuleFactory) -> None:
        """Add a rule, or the rules of a factory. A rule belongs to one map only."""
        for rule in rulefactory.get_rules(self):
            rule.bind(self)
            with self._lock:
                self._rules_by_endpoint.setdefault(rule.endpoint, []).append(rule)
                self._pending.append(rule)
                self._fast_path, self._fast_builds = FastPath(), {}

    def update(self) -> None:
        """Sort in the rules added since the last call; matching and building call this."""
        if not self._pending:
            return
        with self._lock:
            if self._pending:
                self._order(self._pending)
                if not self.host_matching:
                    self._build_fast_path()
                # At the end, because threads that see no pending rules use these tables.
                self._pending = []

    def _order(self, pending: list[Rule]) -> None:
        for endpoint in _distinct(rule.endpoint for rule in pending):
            rules = self._rules_by_endpoint[endpoint]
            if len(rules) > 1:
                # A new list: list.sort empties the old one while other threads may read it.
                rules = sorted(rules, key=Rule.build_compare_key)
                self._rules_by_endpoint[endpoint] = rules
            providers: list[Rule] = []
            for rule in rules:
                rule._prepare(providers)
                if rule.defaults and not rule.build_only:
                    providers.append(rule)
        for rule in pending:
            if not rule.build_only:
                self._matcher.add(rule)

    def _build_fast_path(self) -> None:
        """Make the tables of `lookup`, which sees them once they are complete."""
        root = self._matcher.root
        domain = root.fixed.get(self.default_subdomain)
        if domain is None:
            self._fast_path = FastPath()
        else:
            alone = not root.edges and not domain.edges
            self._fast_path = FastPath(domain.fixed.get(""), alone)

    def lookup(self, method: str, path: str) -> tuple[Rule, dict[str, Any]] | None:
        """The rule and values of a simple match in the default subdomain, without an adapter.

        `path` is decoded and starts with a slash, `method` is in upper case. Returns None where
        MapAdapter.match has to find the rule, the redirect or the error.
        """
        tables = self._fast_path
        answers = tables.fixed.get(path)
        if answers is not None:
            rule = answers.get(method) or answers.get(None)
            if rule is not None:
                return rule, dict(rule.defaults) if rule.defaults else {}
        beginning, _, text = path.rpartition("/")
        node = tables.prefixes.get(beginning)
        if node is not None:
            return step(node, text, method)
        if self._pending:
            self.update()
            return self.lookup(method, path) if not self._pending else None
        return walk(tables.start, path, method) if tables.start is not None else None

    def search(self, domain: str, method: str, path: str) -> Search:
        """Search for the path of a request without an upgrade, after `lookup` returned None.

        `domain` is a subdomain, or a host with host matching. Runs no code of an application:
        converters are called by `Search.result`.
        """
        if self._pending:
            self.update()
        if domain == self.default_subdomain and leads_nowhere(self._fast_path, path):
            return NOTHING
        return self._matcher.search(domain, path, method, False)

    def iter_rules(self, endpoint: Any | None = None) -> Iterator[Rule]:
        """All rules, or those of `endpoint` (KeyError if it has none), in the order of building."""
        self.update()
        if endpoint is not None:
            return iter(self._rules_by_endpoint[endpoint])
        known = list(self._rules_by_endpoint.values())  # copied: another thread may add an endpoint
        return iter([rule for rules in known for rule in rules])

    def is_endpoint_expecting(self, endpoint: Any, *arguments: str) -> bool:
        """Whether some rule of `endpoint` has all these variables."""
        self.update()
        wanted = set(arguments)
        return any(wanted <= rule.arguments for rule in self._rules_by_endpoint[endpoint])

    def bind(
        self,
        server_name: str,
        script_name: str | None = None,
        subdomain: str | None = None,
        url_scheme: str = "http",
        default_method: str = "GET",
        path_info: str | None = None,
        query_args: Mapping[str, Any] | str | None = None,
    ) -> MapAdapter:
        """An adapter for a server; raises BadHost for an invalid host name."""
        if not self.host_matching:
            if subdomain is None:
                subdomain = self.default_subdomain
        elif subdomain is not None:
            raise RuntimeError(
                "host matching enabled and a subdomain was provided. Pass a server_name instead."
            )
        return MapAdapter(
            self,
            ascii_host(server_name.lower()),
            "/" if script_name is None else script_name,
            subdomain,
            url_scheme,
            "/" if path_info is None else path_info,
            default_method,
            query_args,
        )

    def bind_to_environ(
        self,
        environ: WSGIEnvironment | Any,
        server_name: str | None = None,
        subdomain: str | None = None,
    ) -> MapAdapter:
        """An adapter for the request in a WSGI environ (or a request object with one).

        With `server_name`, the subdomain is the part of the host before that name. A host outside
        `server_name` causes a warning and gets a subdomain that no rule has.
        """
        environ = _get_environ(environ)
        name, domain = environ_arguments(environ, server_name, subdomain, self.host_matching)
        path_info, script_name, query = (
            environ_text(environ[key]) if key in environ else None
            for key in ("PATH_INFO", "SCRIPT_NAME", "QUERY_STRING")
        )
        upgrade = "upgrade" in _items(environ, "HTTP_CONNECTION")
        websocket = upgrade and environ.get("HTTP_UPGRADE", "").lower() == "websocket"
        scheme = environ["wsgi.url_scheme"]
        return self.bind(
            name,
            script_name,
            domain,
            ("wss" if scheme == "https" else "ws") if websocket else scheme,
            environ["REQUEST_METHOD"],
            path_info,
            query_args=query,
        )

    def _fast_builder(self, endpoint: Any) -> FastBuild | None:
        """The generated function that builds the URLs of an endpoint, or None."""
        self.update()
        # Kept in the current table. Adding a rule replaces the table, and with it a function that
        # does not know the rule.
        known = self._fast_builds
        rules = self._rules_by_endpoint.get(endpoint)
        made = fast_builder(rules, self) if rules and all(map(_ordinary, rules)) else None
        known[endpoint] = made
        return made

    def __repr__(self) -> str:
        from pprint import pformat  # loads dataclasses and inspect

        return f"{type(self).__name__}({pformat(list(self.iter_rules()))})"

    @property
    def _rules(self) -> list[Rule]:
        """All rules, for programs that use this name of Werkzeug's."""
        return list(self.iter_rules())


def _ordinary(rule: Rule) -> bool:
    """Whether no subclass changes how the URL of a rule is built."""
    kind = type(rule)
    return kind.build is Rule.build and kind.suitable_for is Rule.suitable_for


def _items(environ: WSGIEnvironment, key: str) -> list[str]:
    return [item.strip().lower() for item in environ.get(key, "").split(",")]


def _distinct(endpoints: Iterable[Any]) -> Iterable[Any]:
    return dict.fromkeys(endpoints)


def ascii_host(name: str) -> str:
    """The host in ASCII (RFC 3490); raises BadHost if that is not possible."""
    if name.isascii() and len(name) < 64 and name[:1] != "." and ".." not in name:
        return name  # no label can be too long, and none is empty
    host, colon, port = name.partition(":")
    try:
        return host.encode("idna").decode("ascii") + colon + port
    except UnicodeError as error:
        raise BadHost() from error


def without_default_port(name: str, scheme: str) -> str:
    """The host without the default port of its scheme."""
    port = {"http": ":80", "ws": ":80", "https": ":443", "wss": ":443"}.get(scheme, "")
    return name.removesuffix(port) if port else name


def environ_arguments(
    environ: WSGIEnvironment, server_name: str | None, subdomain: str | None, host_matching: bool
) -> tuple[str, str | None]:
    """The server name and subdomain to bind a map with."""
    port = environ.get("SERVER_PORT", "")
    server = (environ.get("SERVER_NAME", ""), int(port) if port.isdecimal() else None)
    host = host_of(environ["wsgi.url_scheme"], environ.get("HTTP_HOST"), server).lower()
    if server_name is None:
        return host, subdomain
    server_name = without_default_port(server_name.lower(), environ["wsgi.url_scheme"])
    if subdomain is not None or host_matching:
        return server_name, subdomain
    if host == server_name:
        return server_name, ""
    if host.endswith(f".{server_name}"):
        return server_name, host.removesuffix(f".{server_name}")
    _warn(
        f"Current server name {host!r} doesn't match configured server name"
        f" {server_name!r}, so no rule will match. Check SERVER_NAME and the Host header."
    )
    return server_name, "<invalid>"


def _warn(message: str) -> None:
    """Warn of the call of `bind_to_environ`.

    If the names of Flask mean Carboy (the class Map has a name of Werkzeug then), the application's
    own call is in `flask.app` for warning filters.
    """
    frame = sys._getframe(3)
    module = frame.f_globals.get("__name__", "<string>")
    if module == "carboy.app.urls" and not Map.__module__.startswith("carboy."):
        module = "flask.app"
    warnings.warn_explicit(
        message,
        UserWarning,
        frame.f_code.co_filename,
        frame.f_lineno,
        module,
        frame.f_globals.setdefault("__warningregistry__", {}),
    )
