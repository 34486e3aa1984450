"""A request made of its parts, compared with Werkzeug."""

from __future__ import annotations

from typing import Any

import pytest
import werkzeug.datastructures
import werkzeug.sansio.http
import werkzeug.sansio.request
from hypothesis import given
from hypothesis import strategies as st

from carboy.compat.sansio import RequestOfParts
from carboy.http import Headers, Request
from carboy.http.fields.cookies import parse_cookie_field
from carboy.testing import create_environ

FIELDS = [("Host", "a.example:81"), ("Cookie", "a=1"), ("Content-Length", "3")]
MORE = [("Content-Type", "text/plain; charset=x"), ("X-Forwarded-For", "1, 2")]
SHOWN = [
    "method",
    "scheme",
    "server",
    "root_path",
    "path",
    "query_string",
    "remote_addr",
    "url",
    "base_url",
    "root_url",
    "host",
    "host_url",
    "full_path",
    "args",
    "cookies",
    "content_length",
    "content_type",
    "mimetype",
    "mimetype_params",
    "access_route",
    "is_secure",
    "is_json",
    "accept_mimetypes",
    "cache_control",
    "authorization",
]
SERVER = ("server.example", 8080)
CASES: list[tuple[Any, ...]] = [
    ("post", "http", SERVER, "/root", "/p/é", b"a=%C3%A9", FIELDS, "1.2.3.4"),
    ("GET", "https", SERVER, "", "x", b"", [], None),
    ("GET", "https", ("s", None), "a/", "/x", b"", MORE, None),
    ("PUT", "http", None, "/a", "//x", b"b", [("Content-Length", "x")], "::1"),
]


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_the_attributes_are_those_of_werkzeug(case: tuple[Any, ...], name: str) -> None:
    *parts, fields, address = case
    theirs: Any = werkzeug.sansio.request.Request
    real = theirs(*parts, werkzeug.datastructures.Headers(fields), address)
    ours = RequestOfParts(*parts, Headers(fields), address)
    assert repr(getattr(ours, name)) == repr(getattr(real, name))


def test_every_request_is_a_request_of_parts() -> None:
    assert isinstance(Request(create_environ()), RequestOfParts)
    assert issubclass(Request, RequestOfParts)
    assert not isinstance("a", RequestOfParts)


@given(st.text(alphabet='ab=; "\\é', max_size=12))
def test_the_cookies_of_a_field(field: str) -> None:
    real = werkzeug.sansio.http.parse_cookie(field)
    assert list(parse_cookie_field(field).items(multi=True)) == list(real.items(multi=True))


def test_a_missing_field_has_no_cookies() -> None:
    assert list(parse_cookie_field()) == []
