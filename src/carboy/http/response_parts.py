"""A response without a body: `werkzeug.sansio.response.Response`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus

from carboy.http.response import Response


class _AnyResponse(type):
    """Every response is one of parts, as every one has them: for isinstance and issubclass."""

    def __instancecheck__(cls, instance: object) -> bool:
        if cls is ResponseOfParts:
            return isinstance(instance, Response)
        return super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        if cls is ResponseOfParts:
            return issubclass(subclass, Response)
        return super().__subclasscheck__(subclass)


class ResponseOfParts(Response, metaclass=_AnyResponse):
    """Status and headers; the arguments are those of Response, without the body."""

    def __init__(
        self,
        status: int | str | HTTPStatus | None = None,
        headers: Mapping[str, str | Iterable[str]] | Iterable[tuple[str, str]] | None = None,
        mimetype: str | None = None,
        content_type: str | None = None,
    ) -> None:
        super().__init__(None, status, headers, mimetype, content_type)
