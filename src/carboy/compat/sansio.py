"""The classes of `flask.sansio` and `werkzeug.sansio`: an application, a request, a response."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, cast

from carboy.app.app import Carboy
from carboy.http.fields.headers import Headers
from carboy.http.request.request import Request
from carboy.http.response.response import Response
from carboy.http.wsgi import content_length


class _Parts(type):
    """A class whose instances and subclasses include those of `_whole`, which has all parts."""

    _whole: type | None

    def __instancecheck__(cls, instance: object) -> bool:
        whole = vars(cls).get("_whole")  # not of a subclass
        if whole is not None and isinstance(instance, whole):
            return True
        return super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        whole = vars(cls).get("_whole")
        if whole is not None and issubclass(subclass, whole):
            return True
        return super().__subclasscheck__(subclass)


class AppOfParts(Carboy, metaclass=_Parts):
    """The setup of an application, which Quart subclasses: without a route of static files."""

    _whole = Carboy

    def _add_static_route(self, static_host: str | None, host_matching: bool) -> None:
        pass


class RequestOfParts(Request, metaclass=_Parts):
    """A request without its body.

    `path` begins with one slash, `root_path` is the prefix of the application, `server` the
    name and port that the request was sent to.
    """

    _whole = Request

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


# Attributes that belong to each class itself.
_OWN = {"__dict__", "__weakref__", "__init__", "__init_subclass__", "__module__", "__qualname__"}


class _ResponseParts(_Parts):
    """Copies what it needs of Response, because it must not be a subclass."""

    def __new__(mcs, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> _ResponseParts:
        if not bases:
            shared = {name: value for name, value in vars(Response).items() if name not in _OWN}
            body = shared | body
        return super().__new__(mcs, name, bases, body)


class ResponseOfParts(metaclass=_ResponseParts):
    """Status and headers. The arguments are those of Response, without the body."""

    _whole = Response

    def __init__(
        self,
        status: int | str | HTTPStatus | None = None,
        headers: Mapping[str, str | Iterable[str]] | Iterable[tuple[str, str]] | None = None,
        mimetype: str | None = None,
        content_type: str | None = None,
    ) -> None:
        Response.__init__(cast(Response, self), None, status, headers, mimetype, content_type)
