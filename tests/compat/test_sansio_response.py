"""A response made of its parts, compared with Werkzeug."""

from __future__ import annotations

from typing import Any

import pytest
import werkzeug.sansio.response

from carboy.compat.sansio import ResponseOfParts
from carboy.http import Response

CASES: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {}),
    ((404,), {}),
    (("201 Made", {"X-A": ["1", "2"]}), {}),
    ((200, [("X-A", "1")], "text/html"), {}),
    ((), {"content_type": "application/json"}),
]


@pytest.mark.parametrize(("arguments", "named"), CASES)
def test_status_and_headers_are_those_of_werkzeug(arguments: Any, named: Any) -> None:
    real = werkzeug.sansio.response.Response(*arguments, **named)
    ours = ResponseOfParts(*arguments, **named)
    assert (ours.status, list(ours.headers)) == (real.status, list(real.headers))


def test_every_response_is_a_response_of_parts() -> None:
    assert isinstance(Response(), ResponseOfParts)
    assert issubclass(Response, ResponseOfParts)
    assert not isinstance("a", ResponseOfParts)
