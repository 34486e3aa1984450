"""A request out of its parts, without a WSGI environ: `werkzeug.sansio.request.Request`."""

from __future__ import annotations

from typing import Any

from carboy.http.headers import Headers
from carboy.http.request import Request
from carboy.http.wsgi import content_length


class _AnyRequest(type):
    """Every request is one of parts, as every one has them: for isinstance and issubclass."""

    def __instancecheck__(cls, instance: object) -> bool:
        if cls is RequestOfParts:
            return isinstance(instance, Request)
        return super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        if cls is RequestOfParts:
            return issubclass(subclass, Request)
        return super().__subclasscheck__(subclass)


class RequestOfParts(Request, metaclass=_AnyRequest):
    """What a request says, without its body.

    `path` begins with one slash, `root_path` is the prefix of the application, `server` the
    name and port it came to.
    """

    def __init__(
        self,
        method: str,
        scheme: str,
        server: tuple[str, int | None] | None,
        root_path: str,
        path: str,
        query_string: bytes,
        headers: Headers,
        remote_addr: str | None,
    ) -> None:
        given: dict[str, Any] = {
            "method": method.upper(),
            "scheme": scheme,
            "server": server,
            "root_path": root_path.rstrip("/"),
            "path": f"/{path.lstrip('/')}",
            "query_string": query_string,
            "headers": headers,
            "remote_addr": remote_addr,
            "host_header": headers.get("Host"),
            "content_length": content_length(
                headers.get("Content-Length"), headers.get("Transfer-Encoding")
            ),
        }
        self.__dict__.update(given)
