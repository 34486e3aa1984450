"""A request out of its parts, without a WSGI environ: `werkzeug.sansio.request.Request`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, cast

from carboy.http.fields.headers import Headers
from carboy.http.request.request import Request
from carboy.http.response.response import Response
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


# What belongs to the class itself.
_OWN = {"__dict__", "__weakref__", "__init__", "__init_subclass__", "__module__", "__qualname__"}


class _AnyResponse(type):
    """Every response is one of parts, as every one has them: for isinstance and issubclass."""

    def __new__(mcs, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> _AnyResponse:
        if not bases:
            shared = {name: value for name, value in vars(Response).items() if name not in _OWN}
            body = shared | body
        return super().__new__(mcs, name, bases, body)

    def __instancecheck__(cls, instance: object) -> bool:
        if cls is ResponseOfParts and isinstance(instance, Response):
            return True
        return super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        if cls is ResponseOfParts and issubclass(subclass, Response):
            return True
        return super().__subclasscheck__(subclass)


class ResponseOfParts(metaclass=_AnyResponse):
    """Status and headers; the arguments are those of Response, without the body."""

    def __init__(
        self,
        status: int | str | HTTPStatus | None = None,
        headers: Mapping[str, str | Iterable[str]] | Iterable[tuple[str, str]] | None = None,
        mimetype: str | None = None,
        content_type: str | None = None,
    ) -> None:
        Response.__init__(cast(Response, self), None, status, headers, mimetype, content_type)
