"""The client and the environ builder of an application, with its configuration and session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from copy import copy
from functools import cache
from importlib.metadata import version
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from carboy.http.request.environ_builder import EnvironBuilder as BaseBuilder
from carboy.http.request.request import Request
from carboy.testing.client import Client
from carboy.testing.response import TestResponse
from carboy.testing.websocket import (
    TestWebSocket,
    WebSocketRefused,
    handshake_headers,
    open_websocket,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from carboy.app.app import Carboy
    from carboy.app.sessions import SessionMixin

PRESERVE = "werkzeug.debug.preserve_context"
USER_AGENT = "Carboy"


@cache
def _user_agent(names: str) -> str:
    """Carboy, or Werkzeug and its version if that name means Carboy (a client's module says so)."""
    return USER_AGENT if names.startswith("carboy.") else f"Werkzeug/{version('werkzeug')}"


class EnvironBuilder(BaseBuilder):
    """A builder with the defaults of an application.

    PREFERRED_URL_SCHEME, SERVER_NAME and APPLICATION_ROOT are the defaults of the base URL. JSON is
    written by the application's provider.
    """

    def __init__(
        self,
        app: Carboy,
        path: str = "/",
        base_url: str | None = None,
        subdomain: str | None = None,
        url_scheme: str | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        if base_url is not None and (subdomain is not None or url_scheme is not None):
            raise AssertionError(
                'Cannot pass "subdomain" or "url_scheme" with "base_url": it has both.'
            )
        if base_url is None:
            path, base_url = _application_url(app, path, subdomain, url_scheme)
        self.app = app
        super().__init__(path, base_url, *args, **kwargs)

    def json_dumps(self, obj: Any, **kwargs: Any) -> str:  # type: ignore[override]
        """JSON by the application's provider."""
        return self.app.json.dumps(obj, **kwargs)


def _application_url(
    app: Carboy, path: str, subdomain: str | None, url_scheme: str | None
) -> tuple[str, str]:
    """Path and base URL of a request to `app`. `path` may be a complete URL."""
    url = urlsplit(path)
    scheme = url.scheme or url_scheme or app.config["PREFERRED_URL_SCHEME"]
    host = url.netloc or app.config.get("SERVER_NAME") or "localhost"
    if subdomain:
        host = f"{subdomain}.{host}"
    root = str(app.config["APPLICATION_ROOT"]).lstrip("/")
    path = f"{url.path}?{url.query}" if url.query else url.path
    return path, f"{scheme}://{host}/{root}"


class FlaskClient(Client):
    """The client that `app.test_client()` returns.

    In a `with` block, the contexts of the last request are kept, so that a test can inspect them.
    `environ_base` has the default values of every environ.
    """

    application: Carboy

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.preserve_context = False
        self._new_contexts: list[Any] = []
        self._context_stack = ExitStack()
        self.environ_base = {
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_USER_AGENT": _user_agent(FlaskClient.__module__),
        }

    @contextmanager
    def session_transaction(self, *args: Any, **kwargs: Any) -> Iterator[SessionMixin]:
        """Change the session of the next request in a `with` block.

        The arguments are those of `app.test_request_context`.
        """
        self._jar()
        app = self.application
        ctx = app.test_request_context(*args, **kwargs)
        self._add_cookies_to_wsgi(ctx.request.environ)
        interface = app.session_interface
        with ctx:
            session = interface.open_session(app, ctx.request)
        if session is None:
            raise RuntimeError(
                "Session backend did not open a session. Set app.secret_key, or check the"
                " open_session of your own interface."
            )
        yield session
        if interface.is_null_session(session):
            return
        response = app.response_class()
        with ctx:
            interface.save_session(app, session, response)
        self._update_cookies_from_response(
            ctx.request.host.partition(":")[0],
            ctx.request.path,
            response.headers.getlist("Set-Cookie"),
        )

    def _copy_environ(self, other: Any) -> WSGIEnvironment:
        based = {**self.environ_base, **(other or {})}
        if self.preserve_context:
            based[PRESERVE] = self._new_contexts.append
        return based

    def _request_from(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request:
        arg = args[0] if args else None
        if isinstance(arg, Request | dict | BaseBuilder):
            # The request is complete, so other arguments are ignored, as by Flask's client. A
            # client whose `open` adds headers gets redirects in this form, too.
            if isinstance(arg, Request):
                arg = copy(arg)
                arg.environ = self._copy_environ(arg.environ)
                return arg
            if isinstance(arg, dict):
                arg = EnvironBuilder.from_environ(arg, app=self.application)
            if isinstance(arg, BaseBuilder):
                builder = copy(arg)
                builder.environ_base = self._copy_environ(builder.environ_base)
                return builder.get_request()
        return self._request_from_builder_args(args, kwargs)

    def _request_from_builder_args(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request:
        """The request for these arguments of a builder. Subclasses may add more."""
        kwargs["environ_base"] = self._copy_environ(kwargs.get("environ_base"))
        with EnvironBuilder(self.application, *args, **kwargs) as made:
            return made.get_request()

    def open(
        self,
        *args: Any,
        buffered: bool = False,
        follow_redirects: bool = False,
        **kwargs: Any,
    ) -> TestResponse:
        """Send a request, see `Client.open`. Ends the contexts of the previous request."""
        self._context_stack.close()
        self._new_contexts.clear()
        response = super().open(
            *args, buffered=buffered, follow_redirects=follow_redirects, **kwargs
        )
        response.json_module = self.application.json
        for context in self._new_contexts:
            self._context_stack.enter_context(context)
        self._new_contexts.clear()
        return response

    def websocket(
        self, *args: Any, subprotocols: Iterable[str] = (), **kwargs: Any
    ) -> TestWebSocket:
        """Open a WebSocket; the other arguments are those of `get`.

        Raises WebSocketRefused, which has the response, if the handshake is not accepted.
        """
        environ = self._request_from(args, kwargs).environ
        environ.update(handshake_headers(subprotocols))
        self._add_cookies_to_wsgi(environ)
        transport, result = open_websocket(self.application, environ, self.lane)
        self._keep_cookies(environ, result)
        response = self.response_wrapper(*result, request=Request(environ))
        response.json_module = self.application.json
        if transport is None:
            raise WebSocketRefused(response)
        return TestWebSocket(transport, response, self.application.json)

    def __enter__(self) -> FlaskClient:
        if self.preserve_context:
            raise RuntimeError(
                "Cannot nest client invocations: this client is in a with block. Use another"
                " client."
            )
        self.preserve_context = True
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.preserve_context = False
        self._context_stack.close()
