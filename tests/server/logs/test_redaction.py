from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.protocol.events import RequestHead
from carboy.server.logs.atoms import FormatString
from carboy.server.logs.facts import Record
from carboy.server.logs.formats import Common, Json, Pretty
from carboy.server.logs.redaction import redaction

PRIVATE = redaction(["token", "Pass word"])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET /a?token=x&b=1 HTTP/1.1", "GET /a?token=***&b=1 HTTP/1.1"),
        ("GET /a?b=1&token=x HTTP/1.1", "GET /a?b=1&token=*** HTTP/1.1"),
        ("token=x", "token=***"),
        ("b=1&token=x;y", "b=1&token=***"),
        ("b=1;token=x", "b=1;token=***"),
        ("TOKEN=x&%74oken=y&t%6Fken=z", "TOKEN=***&%74oken=***&t%6Fken=***"),
        ("pass+word=x&pass%20word=y", "pass+word=***&pass%20word=***"),
        ("token=", "token=***"),
        ("token=a&token=b", "token=***&token=***"),
        ("http://a/?token=x#token=y", "http://a/?token=***#token=***"),
        ("next=/a?token=x&b=1", "next=/a?token=***&b=1"),
        ("token=a?token=b", "token=***"),
        ("tokens=x&my_token=y&a=token", "tokens=x&my_token=y&a=token"),
        ("GET /?token=a b HTTP/1.1", "GET /?token=*** HTTP/1.1"),
        ("/token", "/token"),
        ("?__debugger__=yes&cmd=1&s=x&token=y", "?__debugger__=yes&cmd=***&s=***&token=***"),
    ],
)
def test_the_values_of_named_parameters_are_replaced(text: str, shown: str) -> None:
    assert PRIVATE(text) == shown


@given(st.text(alphabet="ab=&?;#+% token", max_size=40), st.text(alphabet="xyz", min_size=3))
def test_a_value_is_never_shown(before: str, secret: str) -> None:
    assert secret not in PRIVATE(f"{before}&token={secret}")


def test_all_formats_are_without_the_values_also_in_the_referer() -> None:
    block = b"Host: x\r\nReferer: http://a/?token=SECRET\r\nX-Url: /?token=SECRET\r\n"
    head = RequestHead("GET", "/a?token=SECRET", "/a", "token=SECRET", 1, "x", block)

    class Exchange:
        response_fields = [("Location", "/b?token=SECRET")]
        id = trace = ""
        queued_seconds = 0.0

        def environ(self) -> dict[str, str]:
            return {"QUERY_STRING": "token=SECRET"}

    exchange: Any = Exchange()
    record: Record = (1.0, "192.0.2.7", head, "", 200, 1, 0.1, exchange)
    text = (
        "%(r)s %(q)s %(f)s %({x-url}i)s %({location}o)s %({QUERY_STRING}e)s %(query)s %(request)s"
    )
    for render in (
        Common(private=PRIVATE), Common(True, PRIVATE), Pretty(False, PRIVATE),
        FormatString(text, PRIVATE),
    ):  # fmt: skip
        line = render(record)
        assert "***" in line and "SECRET" not in line
    line = Json(PRIVATE)((*record[:7], None))
    assert "SECRET" not in line and json.loads(line)["query"] == "token=***"
