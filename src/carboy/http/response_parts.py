"""A response without a body: `werkzeug.sansio.response.Response`.

It has the methods of Response and is not one: a framework that subclasses it, as Quart does, has
bodies of its own, and asks by isinstance which of the two a response is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, cast

from carboy.http.response import Response

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
