"""The compiled function for whole responses: the same bytes as its twin in Python, or None."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from _speedups.twins import compiled
from carboy.protocol import LocalProtocolError, response

twin = compiled("response")

EXTRA = b"Server: carboy\r\nDate: Sun, 22 Nov 2026 16:30:11 GMT\r\n"
NAMES = st.sampled_from(
    ("Content-Type", "X-A", "content-length", "Content-Length", "Date", "SERVER", "Connection",
     "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Strict-Transport-Security",
     "Set-Cookie", "", "A B", "A:", "A\r\n", "\u00e9", "A\u0100", "X_Y", "\x00", "content\rlength")
)  # fmt: skip
VALUES = st.sampled_from(
    ("text/html", "", "5", "05", "+5", " 5", "5 ", "\u0665", "4", "close", "chunked", "a\tb",
     "a\rb", "a\nB: c", "a\r\nB: c", "\x00", "\x7f", "\x80", "\xff", "\u0100", "x" * 200)
)  # fmt: skip
FIELDS = st.lists(st.tuples(NAMES | st.text(max_size=5), VALUES | st.text(max_size=5)), max_size=4)


@given(FIELDS, st.sampled_from((b"", b"hello")), st.sampled_from(("200 OK", "404 Not Found")))
@example([("Content-Length", "5")], b"hello", "200 OK")
@example([("Content-Length", "5"), ("Content-Length", "5")], b"hello", "200 OK")
def test_a_response_is_that_of_the_python_twin(
    fields: list[tuple[str, str]], body: bytes, status: str
) -> None:
    response.encode_status(status)  # statuses that were sent before are known
    mine = twin.ordinary_response(status, fields, body, EXTRA, len(body))
    try:
        expected = response.ordinary_response(status, fields, body, EXTRA, len(body))
    except LocalProtocolError:
        expected = None
    assert mine == expected


@pytest.mark.parametrize(
    "fields",
    [
        [["A", "b"]],
        [("A",)],
        [("A", "b", "c")],
        [("A", 1)],
        [(b"A", "b")],
        [type("Pair", (tuple,), {})(("A", "b"))],
        (("A", "b"),),
        [("A", "b")] * 65,
        None,
    ],
)
def test_unusual_fields_are_left_to_the_python_twin(fields: Any) -> None:
    response.encode_status("200 OK")
    assert twin.ordinary_response("200 OK", fields, b"", EXTRA, 0) is None


@pytest.mark.parametrize("status", ["200 ok\r\nA: b", "204 No Content", "100 Continue", 200, []])
def test_other_statuses_are_left_to_the_python_twin(status: Any) -> None:
    for known in ("204 No Content", "100 Continue"):
        response.encode_status(known)
    assert twin.ordinary_response(status, [], b"", EXTRA, 0) is None
