"""Sends requests below some paths on to other HTTP servers.

For development: an assets server, a service beside the application, under one host.
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

# RFC 3986, section 3.3: what stands in a path as it is; and in a query, where "%" is kept
# because a query has not been decoded.
PATH = "/:@!$&'()*+,;=~"
QUERY = PATH + "?%"


class ProxyMiddleware:
    """Answers requests below a prefix with what another server answers, the rest with `app`.

    `targets` maps prefixes to options: `target` (a URL; required), `remove_prefix` (put the
    rest of the path behind the target's own path), `host` (of the Host field; "<auto>" is the
    target's name, None the client's), `headers` (more of them), `ssl_context`. The first prefix
    that fits is taken. `timeout` is in seconds; a target that fails is a 502.
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
        """An application that asks the target of `opts`."""
        target = urlsplit(opts["target"])
        octets = path.encode("latin-1")
        if opts["remove_prefix"]:
            octets = octets[len(prefix) :]
            url = f"{target.path.rstrip('/')}/{quote(octets, safe=PATH)}"
        else:
            url = quote(octets, safe=PATH)

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
        raise RuntimeError(f"A target is an http or https URL, not one of {target.scheme!r}.")


def _forwarded(environ: dict[str, Any], opts: dict[str, Any], name: str) -> list[tuple[str, str]]:
    """The request's fields as the target gets them."""
    headers = EnvironHeaders(environ)
    # RFC 9110, section 7.6.1: what Connection names is for this connection only, too.
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
    # The name without its port, as servers behind this have come to expect.
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
    """Send the request; its body as it comes in."""
    length = environ.get("CONTENT_LENGTH")
    # A body without a length keeps its frame: to leave it out would let the client write
    # requests of its own behind the head.
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
    """The target's body as it comes in; closing it closes the connection."""

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
