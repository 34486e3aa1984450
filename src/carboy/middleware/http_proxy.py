"""Forwards requests below some paths to other HTTP servers.

For development: an assets server or another service under the same host as the application.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from http import client
from typing import IO, Any
from urllib.parse import quote, urlsplit

from carboy.http.exceptions import BadGateway
from carboy.http.fields.headers import EnvironHeaders, is_hop_by_hop_header
from carboy.http.wsgi import get_input_stream

__all__ = ["ProxyMiddleware"]

# Characters that are not escaped in a path (RFC 3986, section 3.3), and in a query, where "%" is
# kept because a query has not been decoded.
PATH = "/:@!$&'()*+,;=~"
QUERY = PATH + "?%"


class ProxyMiddleware:
    """Forwards requests below a prefix to another server, and passes the rest to `app`.

    `targets` maps prefixes to options: `target` (a URL; required), `remove_prefix` (append only
    the rest of the path to the target's path), `host` (the Host field; "<auto>" means the target's
    name, None the client's), `headers` (additional headers), `ssl_context`. The first matching
    prefix is used. `timeout` is in seconds. A target that fails is answered with 502.
    """

    def __init__(
        self,
        app: Any,
        targets: Mapping[str, dict[str, Any]],
        chunk_size: int = 2 << 13,
        timeout: int = 10,
    ) -> None:
        self.app = app
        defaults = {"remove_prefix": False, "host": "<auto>", "headers": {}, "ssl_context": None}
        self.targets = {
            f"/{prefix.strip('/')}/": {**defaults, **options} for prefix, options in targets.items()
        }
        self.chunk_size = chunk_size
        self.timeout = timeout

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        app = self.app
        for prefix, options in self.targets.items():
            if path.startswith(prefix):
                app = self.proxy_to(options, path, prefix)
                break
        answer: Iterable[bytes] = app(environ, start_response)
        return answer

    def proxy_to(self, opts: dict[str, Any], path: str, prefix: str) -> Any:
        """An application that forwards requests to the target of `opts`."""
        target = urlsplit(opts["target"])
        raw = path.encode("latin-1")
        if opts["remove_prefix"]:
            raw = raw[len(prefix) :]
            url = f"{target.path.rstrip('/')}/{quote(raw, safe=PATH)}"
        else:
            url = quote(raw, safe=PATH)

        def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            headers = _forwarded(environ, opts, target.hostname or "")
            whole = url
            if query := environ.get("QUERY_STRING"):
                whole += f"?{quote(query.encode('latin-1'), safe=QUERY)}"
            connection = self._connection(target, opts["ssl_context"])
            try:
                connection.connect()
                _send(connection, environ, whole, headers, self.chunk_size)
                response = connection.getresponse()
            except (OSError, client.HTTPException):
                connection.close()
                failed: Iterable[bytes] = BadGateway()(environ, start_response)
                return failed
            except BaseException:
                connection.close()
                raise
            start_response(
                f"{response.status} {response.reason}",
                [
                    (key, value)
                    for key, value in response.getheaders()
                    if not is_hop_by_hop_header(key)
                ],
            )
            return _Body(connection, response, self.chunk_size)

        return application

    def _connection(self, target: Any, ssl_context: Any) -> client.HTTPConnection:
        if target.scheme == "http":
            return client.HTTPConnection(target.hostname, target.port, timeout=self.timeout)
        if target.scheme == "https":
            return client.HTTPSConnection(
                target.hostname, target.port, timeout=self.timeout, context=ssl_context
            )
        raise RuntimeError(
            f"Scheme {target.scheme!r} is not supported. Use an http or https URL as the target."
        )


def _forwarded(environ: dict[str, Any], opts: dict[str, Any], name: str) -> list[tuple[str, str]]:
    """The fields of the forwarded request."""
    headers = EnvironHeaders(environ)
    # RFC 9110, section 7.6.1: fields that Connection names are for this connection only.
    named = {name.strip().lower() for name in headers.get("Connection", "").split(",")}
    skipped = {"content-length", "host", *named}
    fields = [
        (key, value)
        for key, value in headers
        if not is_hop_by_hop_header(key)
        and key.lower() not in skipped
        and not (key.lower() == "content-type" and not value)
    ]
    fields.append(("Connection", "close"))
    # The name without its port, as servers behind Werkzeug's middleware get it.
    auto = f"[{name}]" if ":" in name else name
    host = auto if opts["host"] == "<auto>" else opts["host"] or headers.get("Host")
    if host:
        fields.append(("Host", host))
    return [*fields, *opts["headers"].items()]


def _send(
    connection: client.HTTPConnection,
    environ: dict[str, Any],
    url: str,
    headers: list[tuple[str, str]],
    size: int,
) -> None:
    """Send the request. The body is forwarded while it is received."""
    length = environ.get("CONTENT_LENGTH")
    # A body without a length is sent in chunks. Without any framing, the client could send its own
    # requests in the body.
    chunked = not length and "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
    body: IO[bytes] | None = None
    if length or chunked:
        body = get_input_stream(environ)
    given = any(key.lower() == "accept-encoding" for key, _ in headers)
    connection.putrequest(
        environ["REQUEST_METHOD"], url, skip_host=True, skip_accept_encoding=given
    )
    for key, value in headers:
        connection.putheader(key, value)
    if length:
        connection.putheader("Content-Length", length)
    elif chunked:
        connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    while body is not None and (data := body.read(size)):
        connection.send(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data)
    if chunked:
        connection.send(b"0\r\n\r\n")


class _Body:
    """The target's body, passed on while it is received. Closing it closes the connection."""

    def __init__(
        self, connection: client.HTTPConnection, response: client.HTTPResponse, size: int
    ) -> None:
        self._connection = connection
        self._response = response
        self._size = size

    def __iter__(self) -> Iterator[bytes]:
        try:
            while data := self._response.read(self._size):
                yield data
        finally:
            self.close()

    def close(self) -> None:
        self._response.close()
        self._connection.close()
