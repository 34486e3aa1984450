"""The response of a test client."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from carboy.http.response.response import Response

if TYPE_CHECKING:
    from carboy.http.fields.headers import Headers
    from carboy.http.request.request import Request


class ClientRedirectError(Exception):
    """Redirects form a loop, or a redirect has no Location."""


class TestResponse(Response):
    """A response with its request, and the redirect responses before it."""

    __test__ = False  # not a test class, in spite of its name

    default_mimetype = None
    request: Request
    history: tuple[TestResponse, ...]

    def __init__(
        self,
        response: Iterable[bytes],
        status: str,
        headers: Headers,
        request: Request,
        history: tuple[TestResponse, ...] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(response, status, headers, **kwargs)
        self.request = request
        self.history = history

    @property
    def text(self) -> str:
        """The body as text."""
        return str(self.get_data(as_text=True))


def test_response_class(wrapper: type[Response] | None) -> type[TestResponse]:
    """`wrapper` combined with TestResponse."""
    if wrapper is None or wrapper is Response:
        return TestResponse
    if issubclass(wrapper, TestResponse):
        return wrapper
    body = {"__test__": False, "__module__": TestResponse.__module__}
    return type("WrapperTestResponse", (TestResponse, wrapper), body)


test_response_class.__test__ = False  # type: ignore[attr-defined]
