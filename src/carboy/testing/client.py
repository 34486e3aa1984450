"""A client that calls an application in the same process, and follows its redirects."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from carboy.app.after_response import run_here
from carboy.http.request.environ_builder import EnvironBuilder
from carboy.http.request.request import Request
from carboy.http.response.response import Response
from carboy.testing.cookies import (
    Cookie,
    CookieJar,
    cookie_from_header,
    header_for,
    set_cookie,
    store,
)
from carboy.testing.lanes import Result, run_as_served, run_direct, run_wsgi_app
from carboy.testing.response import ClientRedirectError, TestResponse, test_response_class

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

REDIRECTS = {301, 302, 303, 305, 307, 308}
KEEP_METHOD = {307, 308}
LANES = ("server", "wsgi", "direct")


class Client:
    """Sends requests to `application` and keeps its cookies.

    `response_wrapper` is mixed into the responses. `lane` is the way to the application, see
    testing/lanes.py; None means `Client.default_lane`.
    """

    default_lane = "server"
    _own_run = staticmethod(run_wsgi_app)  # to find out whether a test has replaced the function

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
            raise ValueError(f"Lane {lane!r} does not exist. Use one of {', '.join(LANES)}.")
        self.application = application
        self.response_wrapper = test_response_class(response_wrapper)
        self._cookies: CookieJar | None = {} if use_cookies else None
        self.allow_subdomain_redirects = allow_subdomain_redirects
        self.lane = lane

    # -- cookies

    def _jar(self) -> CookieJar:
        if self._cookies is None:
            raise TypeError("Cookies are disabled. Create the client with use_cookies=True.")
        return self._cookies

    def get_cookie(self, key: str, domain: str = "localhost", path: str = "/") -> Cookie | None:
        """The cookie with this name, domain and path, or None."""
        return self._jar().get((domain, path, key))

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
        """Set a cookie. Further arguments are those of `dump_cookie`."""
        set_cookie(self._jar(), key, value, domain, origin_only, path, **kwargs)

    def delete_cookie(self, key: str, *, domain: str = "localhost", path: str = "/") -> None:
        """Remove a cookie."""
        self._jar().pop((domain, path, key), None)

    def _add_cookies_to_wsgi(self, environ: WSGIEnvironment) -> None:
        """Add the cookies for this request. They replace its Cookie header."""
        if self._cookies is None:
            return
        header = header_for(self._cookies, *_address(environ))
        if header:
            environ["HTTP_COOKIE"] = header
        else:
            environ.pop("HTTP_COOKIE", None)

    def _update_cookies_from_response(
        self, server_name: str, path: str, headers: list[str]
    ) -> None:
        if self._cookies is not None:
            for header in headers:
                store(self._cookies, cookie_from_header(server_name, path, header))

    # -- requests

    def run_wsgi_app(self, environ: WSGIEnvironment, buffered: bool = False) -> Result:
        """Call the application with the client's cookies, and keep the cookies that it sets."""
        self._add_cookies_to_wsgi(environ)
        _check_fields(environ)
        run = run_direct if self.lane == "direct" else run_wsgi_app
        # A test may have replaced run_wsgi_app. Its function is called then.
        if self.lane == "server" and run_wsgi_app is self._own_run:
            run = run_as_served
        with run_here():
            result = run(self.application, environ, buffered)
        self._keep_cookies(environ, result)
        return result

    def _keep_cookies(self, environ: WSGIEnvironment, result: Result) -> None:
        self._update_cookies_from_response(*_address(environ), result[2].getlist("Set-Cookie"))

    def resolve_redirect(self, response: TestResponse, buffered: bool = False) -> TestResponse:
        """Follow the redirect `response`; returns the next response."""
        builder = followed(response, response.request.environ, self.allow_subdomain_redirects)
        with builder:
            # `open` of a subclass may add to its requests.
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
        """Send a request: a builder, an environ, a request, or arguments of EnvironBuilder.

        `buffered` reads the complete body. With `follow_redirects`, the last response is returned
        and the others are its `history`.
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
    # A test may have written the path without its slash.
    path = f"/{environ['PATH_INFO'].removeprefix('/')}"
    return environ["SERVER_NAME"], f"{environ['SCRIPT_NAME']}{path}"


def _check_fields(environ: WSGIEnvironment) -> None:
    """Refuse control characters in header values, which every server refuses."""
    for key, value in environ.items():
        if key.startswith(("HTTP_", "CONTENT_")) and not str(value).isprintable():
            bad = [char for char in str(value) if (char < " " and char != "\t") or char == "\x7f"]
            if bad:
                raise ValueError(f"{key} has the control character {bad[0]!r}: {value!r}.")


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
    """Set the path, below the mount point of the application if it is there."""
    root = builder.script_root
    if root and (path == root or path.startswith(f"{root}/")):
        path = path[len(root) :]
    else:
        builder.script_root = ""
    builder.path = builder.request_uri = path or "/"


def _rewind(stream: Any) -> None:
    """Rewind the body, which the application may have read."""
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
