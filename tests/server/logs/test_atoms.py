"""Formats of the access log with fields; gunicorn itself says what its fields are."""

from __future__ import annotations

import base64
import datetime
import os
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger
from hypothesis import given
from hypothesis import strategies as st

from carboy.protocol.events import RequestHead
from carboy.server.logs.atoms import NAMES, FormatString
from carboy.server.logs.facts import Record
from carboy.server.logs.formats import check_format
from carboy.server.logs.redaction import redaction
from live_engine import served

PRIVATE = redaction(())
USER = base64.b64encode(b"ada:secret").decode()
BLOCK = f'Host: x\r\nReferer: http://a/\r\nUser-Agent: curl "x"\r\nAuthorization: Basic {USER}\r\n'
# Those that depend on time and process are compared apart.
OF_GUNICORN = (
    "h", "l", "u", "r", "m", "U", "q", "H", "s", "B", "b", "f", "a", "T", "D", "M", "L", "p",
    "{Referer}i", "{x-none}i", "{X-Own}o", "{SERVER_NAME}e",
)  # fmt: skip


class Exchange:
    """The part of a ServerExchange that formats read."""

    def __init__(self) -> None:
        self.response_fields = [("X-Own", "1")]
        self.route = "/a/<name>"
        self.id = "an-id"
        self.scheme = "https"

    queued_seconds = 0.25

    def environ(self) -> dict[str, Any]:
        return {"SERVER_NAME": "shop", "wsgi.url_scheme": "https"}


def record(target: str = "/a?b=1", status: int = 200, sent: int = 12) -> Record:
    path, _, query = target.partition("?")
    head = RequestHead("GET", target, path, query, 1, "x", BLOCK.encode())
    exchange: Any = Exchange()
    return (1700000000.25, "192.0.2.7", head, "", status, sent, 1.2345678, exchange)


def line(text: str, of: Record | None = None) -> str:
    return FormatString(text, PRIVATE)(of or record()).removesuffix("\n")


def of_gunicorn(text: str) -> str:
    """The line that gunicorn logs for the same request."""

    class Response:
        status = "200 OK"
        sent = 12
        headers = [("X-Own", "1")]

    class Request:
        headers = [
            ("REFERER", "http://a/"),
            ("USER-AGENT", 'curl "x"'),
            ("AUTHORIZATION", f"Basic {USER}"),
        ]

    environ = {
        "REMOTE_ADDR": "192.0.2.7", "REQUEST_METHOD": "GET", "RAW_URI": "/a?b=1",
        "PATH_INFO": "/a", "QUERY_STRING": "b=1", "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_REFERER": "http://a/", "HTTP_USER_AGENT": 'curl "x"', "SERVER_NAME": "shop",
        "HTTP_AUTHORIZATION": f"Basic {USER}",
    }  # fmt: skip
    logger = Logger(Config())
    took = datetime.timedelta(seconds=1, microseconds=234567)
    atoms = logger.atoms(Response(), Request(), environ, took)
    return text % logger.atoms_wrapper_class(atoms)


@pytest.mark.parametrize("name", OF_GUNICORN)
def test_a_field_of_gunicorn_is_what_gunicorn_logs(name: str) -> None:
    text = f"[%({name})s]"
    found = of_gunicorn(text)
    assert line(text) == ("[1.234568]" if name == "L" else found)


def test_the_time_is_in_brackets_as_in_gunicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    from carboy.server.logs.facts import ncsa_time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    ncsa_time.cache_clear()
    assert line("%(t)s") == "[14/Nov/2023:22:13:20 +0000]"
    monkeypatch.undo()
    time.tzset()
    ncsa_time.cache_clear()


def test_the_names_of_carboy_are_words() -> None:
    text = (
        "%(client)s %(method)s %(path)s %(query)s %(protocol)s %(host)s %(scheme)s %(status)s"
        " %(bytes)s %(seconds)s %(queue)s %(route)s %(id)s %(user)s %(time)s %(pid)s"
    )
    assert line(text) == (
        "192.0.2.7 GET /a b=1 HTTP/1.1 x https 200 12 1.234568 0.250000 /a/<name> an-id ada"
        f" 2023-11-14T22:13:20.250000Z {os.getpid()}"
    )


def test_numbers_may_have_a_width_and_a_precision() -> None:
    assert line("%(seconds).2f|%(status)06d|%(method)-6s|%(bytes)d|%%") == (
        "1.23|000200|GET   |12|%"
    )


def test_a_value_that_is_not_known_is_a_dash() -> None:
    refused: Record = (1700000000.25, "", None, "", 400, 0, 0.0, None)
    text = " ".join(f"%({name})s" for name in NAMES if name not in ("t", "p", "time", "pid"))
    values = set(line(f"{text} %({{a}}i)s".replace("%({a}i)s", "%({a}i)s"), refused).split())
    assert values <= {"-", "400", "0", "0.000000"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("%(x)s", r"unknown field %\(x\)s"),
        ("%(methd)s", r"Did you mean %\(method\)s\?"),
        ("%({a}x)s", "unknown field"),
        ("%(h)d", "is text"),
        ("%(h)s %d", "Write a field as"),
        ("%(h)", "Write a field as"),
        ("%(h)s 100%", "a percent sign as %%"),
        ("apache", "Use one of auto, common"),
    ],
)
def test_a_format_that_cannot_work_is_an_error_that_says_why(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_format(text)


@given(st.text(st.characters(max_codepoint=255)))
def test_no_byte_of_a_client_can_end_a_field_or_a_line(text: str) -> None:
    refused: Record = (1700000000.25, "192.0.2.7", None, text, 400, 0, 0.0, None)
    found = FormatString('"%(r)s"', PRIVATE)(refused)
    assert found.endswith('"\n') and found.count("\n") == 1
    assert '"' not in found[1:-2].replace('\\"', "")


def test_a_request_of_a_server_has_its_fields_of_both_directions() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("X-Own", "yes"), ("Content-Type", "text/plain")])
        return [b"hello"]

    with served(app, record=True) as live:
        live.get("/x?y=1", **{"X-Asked": "no"})
    (of_server,) = live.records
    text = "%({x-asked}i)s %({x-own}o)s %({request_method}e)s %(B)s %({wsgi.url_scheme}e)s"
    assert FormatString(text, PRIVATE)(of_server) == "no yes GET 5 http\n"
    assert FormatString("%(id)s", PRIVATE)(of_server).strip() == of_server[7].id


def test_the_client_is_that_of_a_trusted_proxy() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"hello"]

    with served(app, record=True, trusted_proxies=("127.0.0.1",)) as live:
        live.get(**{"X-Forwarded-For": "203.0.113.9"})
    assert FormatString("%(h)s", PRIVATE)(live.records[0]) == "203.0.113.9\n"
