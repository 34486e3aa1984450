"""Outgoing HTTP requests: of requests, httpx, urllib3, urllib.request and http.client.

There is one event for each request on the wire, so a redirect that is followed has two. Its
duration ends when the head of the response has been received.

    requests ─┐
    urllib3 ──┴─ HTTPConnectionPool._make_request ─┐ the one inside of the other
    urllib.request ── HTTPConnection (http.client) ┘ is not recorded
    httpx ── httpcore.ConnectionPool.handle_request
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from carboy.dev.masking import masked_url
from carboy.dev.requests.hooks.patches import Patches
from carboy.dev.requests.recording import Started, Timed

HTTP = Timed("http")
DEFAULT_PORTS = {"http": 80, "https": 443}


def _title(method: Any, scheme: str, host: Any, port: Any, target: Any) -> str:
    """Method and URL, without user information and secrets in the query."""
    method, host, target = (
        each.decode("latin-1") if isinstance(each, bytes) else str(each)
        for each in (method, host, target)
    )
    if "://" in target:  # as sent to a proxy
        return f"{method} {_public(target)}"
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    place = host if port in (None, DEFAULT_PORTS.get(scheme)) else f"{host}:{port}"
    url = f"{scheme}://{place}{target or '/'}"
    return f"{method} {_public(url)}"


def _public(url: str) -> str:
    scheme, _, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    return masked_url(f"{scheme}://{place.rpartition('@')[2]}{slash}{path}")


def _status(response: Any) -> str:
    reason = getattr(response, "reason", None)
    if reason is None:
        phrase: bytes = getattr(response, "extensions", {}).get("reason_phrase", b"")
        reason = phrase.decode("latin-1")
    return f"{response.status} {reason}".rstrip()


def _called(started: Started | None, title: Callable[[], str], call: Callable[[], Any]) -> Any:
    __traceback_hide__ = True
    if started is None:
        return call()
    try:
        response = call()
    except BaseException as error:
        started.end(lambda: (title(), ""), error)
        raise
    started.end(lambda: (title(), _status(response)))
    return response


# --- urllib3, which requests uses


def watch_urllib3(patches: Patches) -> None:
    """One attempt of a connection pool is one request: retries and redirects are others."""
    pool = sys.modules["urllib3"].HTTPConnectionPool

    def wrapper(make: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(make)
        def _make_request(
            self: Any, conn: Any, method: Any, url: Any, *more: Any, **given: Any
        ) -> Any:
            __traceback_hide__ = True
            return _called(
                HTTP.begin(),
                lambda: _title(method, self.scheme, self.host, self.port, url),
                lambda: make(self, conn, method, url, *more, **given),
            )

        return _make_request

    patches.wrap(pool, "_make_request", wrapper)


# --- httpcore, which httpx uses


def watch_httpcore(patches: Patches) -> None:
    """A connection pool handles a request of a client."""
    core = sys.modules["httpcore"]

    def title(request: Any) -> str:
        url = request.url
        return _title(request.method, url.scheme.decode(), url.host, url.port, url.target)

    def wrapper(handle: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(handle)
        def handle_request(self: Any, request: Any) -> Any:
            __traceback_hide__ = True
            return _called(HTTP.begin(), lambda: title(request), lambda: handle(self, request))

        return handle_request

    def async_wrapper(handle: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(handle)
        async def handle_async_request(self: Any, request: Any) -> Any:
            __traceback_hide__ = True
            started = HTTP.begin()
            if started is None:
                return await handle(self, request)
            try:
                response = await handle(self, request)
            except BaseException as error:
                started.end(lambda: (title(request), ""), error)
                raise
            started.end(lambda: (title(request), _status(response)))
            return response

        return handle_async_request

    patches.wrap(core.ConnectionPool, "handle_request", wrapper)
    patches.wrap(core.AsyncConnectionPool, "handle_async_request", async_wrapper)


# --- http.client, which urllib.request uses


def watch_http_client(patches: Patches) -> None:
    """A request begins with its first line and ends with the head of its response."""
    client = sys.modules["http.client"]
    connection = client.HTTPConnection
    secure = getattr(client, "HTTPSConnection", ())  # missing without OpenSSL
    patches.wrap(connection, "putrequest", lambda function: _beginning(function, secure))
    for name in ("endheaders", "send", "getresponse"):
        patches.wrap(connection, name, _ending)


def _beginning(putrequest: Callable[..., Any], secure: Any) -> Callable[..., Any]:
    @wraps(putrequest)
    def beginning(self: Any, method: Any, url: Any, *more: Any, **given: Any) -> Any:
        __traceback_hide__ = True
        started = HTTP.begin()
        if started is not None:
            HTTP.leave()  # it may be ended in another context, or never
            scheme = "https" if isinstance(self, secure) else "http"
            tunnel = getattr(self, "_tunnel_host", None)
            host, port = (tunnel, self._tunnel_port) if tunnel else (self.host, self.port)
            self._carboy = started, _title(method, scheme, host, port, url)
        return putrequest(self, method, url, *more, **given)

    return beginning


def _ending(function: Callable[..., Any]) -> Callable[..., Any]:
    """The request ends with the response or an exception."""

    @wraps(function)
    def ending(self: Any, *given: Any, **options: Any) -> Any:
        __traceback_hide__ = True
        try:
            result = function(self, *given, **options)
        except BaseException as error:
            if (begun := self.__dict__.pop("_carboy", None)) is not None:
                begun[0].end(lambda: (begun[1], ""), error)
            raise
        if function.__name__ == "getresponse":
            begun = self.__dict__.pop("_carboy", None)
            if begun is not None:
                begun[0].end(lambda: (begun[1], _status(result)))
        return result

    return ending
