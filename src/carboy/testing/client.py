"""A client that calls an application in the same process."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from carboy.http.request.environ_builder import EnvironBuilder
from carboy.http.request.request import Request
from carboy.http.response.response import Response
from carboy.testing.cookies import Cookie, CookieJar
from carboy.testing.lanes import Result, run_as_served, run_direct, run_wsgi_app
from carboy.testing.response import ClientRedirectError, TestResponse, test_response_class

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

REDIRECTS = {301, 302, 303, 305, 307, 308}
KEEP_METHOD = {307, 308}
LANES = ("server", "wsgi", "direct")


class Client:
    """Sends requests to `application` and keeps its cookies.

    `response_wrapper` is mixed into the responses. `lane` is the way to the application: the one
    that Carboy's "server" would take, "wsgi" as under any other server, or "direct" with the
    protocol machine before and behind it, which refuses what a wire cannot carry. None is
    `Client.default_lane`.
    """

    default_lane = "server"
    _own_run = staticmethod(run_wsgi_app)  # to notice when the name in this module is replaced

    def __init__(
        self,
        application: WSGIApplication,
        response_wrapper: type[Response] | None = None,
        use_cookies: bool = True,
        allow_subdomain_redirects: bool = False,
        lane: str | None = None,
    ) -> None:
        lane = self.default_lane if lane is None else lane
        if lane not in LANES:
            raise ValueError(f"There is no lane {lane!r}: choose from {', '.join(LANES)}.")
        self.application = application
        self.response_wrapper = test_response_class(response_wrapper)
        self._cookies = CookieJar() if use_cookies else None
        self.allow_subdomain_redirects = allow_subdomain_redirects
        self.lane = lane

    # -- cookies

    def _jar(self) -> CookieJar:
        if self._cookies is None:
            raise TypeError("Cookies are disabled. Create the client with use_cookies=True.")
        return self._cookies

    def get_cookie(self, key: str, domain: str = "localhost", path: str = "/") -> Cookie | None:
        """The cookie of this name, domain and path, if there is one."""
        return self._jar().get(key, domain, path)

    def set_cookie(
        self,
        key: str,
        value: str = "",
        *,
        domain: str = "localhost",
        origin_only: bool = True,
        path: str = "/",
        **kwargs: Any,
    ) -> None:
        """Keep a cookie; the further arguments are those of `dump_cookie`."""
        self._jar().set(key, value, domain, origin_only, path, **kwargs)

    def delete_cookie(self, key: str, *, domain: str = "localhost", path: str = "/") -> None:
        """Forget a cookie."""
        self._jar().delete(key, domain, path)

    def _add_cookies_to_wsgi(self, environ: WSGIEnvironment) -> None:
        """Put the cookies for this request into it; they replace a Cookie header."""
        if self._cookies is None:
            return
        header = self._cookies.header_for(*_address(environ))
        if header:
            environ["HTTP_COOKIE"] = header
        else:
            environ.pop("HTTP_COOKIE", None)

    def _update_cookies_from_response(
        self, server_name: str, path: str, headers: list[str]
    ) -> None:
        if self._cookies is not None:
            self._cookies.update(server_name, path, headers)

    # -- requests

    def run_wsgi_app(self, environ: WSGIEnvironment, buffered: bool = False) -> Result:
        """Call the application with the client's cookies and keep those it sets."""
        self._add_cookies_to_wsgi(environ)
        _check_fields(environ)
        run = run_direct if self.lane == "direct" else run_wsgi_app
        if (
            self.lane == "server" and run_wsgi_app is self._own_run
        ):  # a replaced one is to be called
            run = run_as_served
        result = run(self.application, environ, buffered)
        self._update_cookies_from_response(*_address(environ), result[2].getlist("Set-Cookie"))
        return result

    def resolve_redirect(self, response: TestResponse, buffered: bool = False) -> TestResponse:
        """The response to the request that `response` redirects to."""
        builder = followed(response, response.request.environ, self.allow_subdomain_redirects)
        with builder:
            # By `open`, where a subclass adds what its requests need.
            return self.open(builder, buffered=buffered)

    def _send(self, request: Request, buffered: bool) -> TestResponse:
        result = self.run_wsgi_app(request.environ, buffered)
        return self.response_wrapper(*result, request=request)

    def open(
        self,
        *args: Any,
        buffered: bool = False,
        follow_redirects: bool = False,
        **kwargs: Any,
    ) -> TestResponse:
        """Send a request: a builder, an environ, a request, or the arguments of EnvironBuilder.

        `buffered` reads the whole body at once. With `follow_redirects` the last response is
        returned, with the others as its `history`.
        """
        request = self._request_from(args, kwargs)
        response = self._send(request, buffered)
        if follow_redirects:
            response = self._follow(response, buffered)
        return response

    def _request_from(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request:
        if len(args) == 1 and not kwargs:
            (arg,) = args
            if isinstance(arg, EnvironBuilder):
                return arg.get_request()
            if isinstance(arg, Request):
                return arg  # with every key of its environ
            if isinstance(arg, dict):
                return EnvironBuilder.from_environ(arg).get_request()
        with EnvironBuilder(*args, **kwargs) as builder:
            return builder.get_request()

    def _follow(self, response: TestResponse, buffered: bool) -> TestResponse:
        seen: set[tuple[str | None, int]] = set()
        history: list[TestResponse] = []
        while response.status_code in REDIRECTS:
            response.make_sequence()
            step = (response.headers.get("Location"), response.status_code)
            if step in seen:
                raise ClientRedirectError(
                    f"Loop detected: {step[0]} was already visited by a {step[1]} redirect."
                )
            seen.add(step)
            history.append(response)
            response = self.resolve_redirect(response, buffered)
            response.history = tuple(history)
        return response

    def get(self, *args: Any, **kw: Any) -> TestResponse:
        """`open` with the method GET."""
        return self.open(*args, **{**kw, "method": "GET"})

    def post(self, *args: Any, **kw: Any) -> TestResponse:
        """`open` with the method POST."""
        return self.open(*args, **{**kw, "method": "POST"})

    def put(self, *args: Any, **kw: Any) -> TestResponse:
        """`open` with the method PUT."""
        return self.open(*args, **{**kw, "method": "PUT"})

    def delete(self, *args: Any, **kw: Any) -> TestResponse:
        """`open` with the method DELETE."""
        return self.open(*args, **{**kw, "method": "DELETE"})

    def patch(self, *args: Any, **kw: Any) -> TestResponse:
        """`open` with the method PATCH."""
        return self.open(*args, **{**kw, "method": "PATCH"})

    def options(self, *args: Any, **kw: Any) -> TestResponse:
        """`open` with the method OPTIONS."""
        return self.open(*args, **{**kw, "method": "OPTIONS"})

    def head(self, *args: Any, **kw: Any) -> TestResponse:
        """`open` with the method HEAD."""
        return self.open(*args, **{**kw, "method": "HEAD"})

    def trace(self, *args: Any, **kw: Any) -> TestResponse:
        """`open` with the method TRACE."""
        return self.open(*args, **{**kw, "method": "TRACE"})

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.application!r}>"


def _address(environ: WSGIEnvironment) -> tuple[str, str]:
    # A path that a test wrote without its slash is below the root all the same.
    path = f"/{environ['PATH_INFO'].removeprefix('/')}"
    return environ["SERVER_NAME"], f"{environ['SCRIPT_NAME']}{path}"


def _check_fields(environ: WSGIEnvironment) -> None:
    """Refuse what no server would let through, wherever it was put into the environ."""
    for key, value in environ.items():
        if key.startswith(("HTTP_", "CONTENT_")) and not str(value).isprintable():
            bad = [char for char in str(value) if (char < " " and char != "\t") or char == "\x7f"]
            if bad:
                raise ValueError(f"{key} holds the control character {bad[0]!r}: {value!r}.")


# --- redirects (RFC 9110, section 15.4)


def followed(response: TestResponse, environ: WSGIEnvironment, subdomains: bool) -> EnvironBuilder:
    """The request that follows a redirect of the request in `environ`.

    Raises RuntimeError for another host, or a subdomain unless `subdomains`.
    """
    location = response.headers.get("Location")
    if location is None:
        raise ClientRedirectError(f"A {response.status_code} response has no Location to follow.")
    target = urlsplit(urljoin(response.request.url, location))
    builder = EnvironBuilder.from_environ(environ, query_string=target.query)
    _set_host(builder, target.scheme, target.netloc, subdomains)
    _set_path(builder, target.path)
    if response.status_code in KEEP_METHOD:
        _rewind(builder.input_stream)
    else:
        _without_body(builder)
    return builder


def _set_host(builder: EnvironBuilder, scheme: str, netloc: str, subdomains: bool) -> None:
    old = builder.server_name.lower()
    builder.host = netloc
    builder.url_scheme = scheme
    new = builder.server_name.lower()
    if new == old:
        return
    if not new.endswith(f".{old}"):
        raise RuntimeError(
            f"Following external redirects is not supported: {old!r} to {new!r}. The client"
            " calls one application only."
        )
    if not subdomains:
        raise RuntimeError(
            f"Following subdomain redirects is not enabled: {new!r}. Create the client with"
            " allow_subdomain_redirects=True."
        )


def _set_path(builder: EnvironBuilder, path: str) -> None:
    """Within the application where it is mounted, else at the root."""
    root = builder.script_root
    if root and (path == root or path.startswith(f"{root}/")):
        path = path[len(root) :]
    else:
        builder.script_root = ""
    builder.path = builder.request_uri = path or "/"


def _rewind(stream: Any) -> None:
    """The application may have read the body already."""
    try:
        stream.seek(0)
    except (AttributeError, OSError, io.UnsupportedOperation):
        pass


def _without_body(builder: EnvironBuilder) -> None:
    if builder.method not in ("GET", "HEAD"):
        builder.method = "GET"
    builder.input_stream = None
    for name in ("Content-Type", "Content-Length", "Transfer-Encoding"):
        builder.headers.pop(name, None)
