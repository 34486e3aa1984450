from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
import werkzeug.test
import werkzeug.wrappers

from carboy.http.request.request import Request
from carboy.http.response.response import Response
from carboy.testing import Client


def cookie_app(library: Any) -> Any:
    def respond(request: Any) -> Any:
        response = library[1](str(sorted(request.cookies.items(multi=True))))
        for header in request.args.getlist("h"):
            response.headers.add("Set-Cookie", header)
        return response

    return library[0].application(respond)


OURS = (Request, Response, Client)
THEIRS = (werkzeug.wrappers.Request, werkzeug.wrappers.Response, werkzeug.test.Client)

HEADERS = [
    "a=1",
    "a=1; Path=/",
    "a=1; Path=/a/; SECURE; httponly; SameSite=lax",
    "a=1; Max-Age=5",
    "a=1; Max-Age=0",
    "a=1; Domain=localhost",
    "a=1; expires=Wed, 01 Jan 2020 00:00:00 GMT",
    "a=1; expires=Thu, 01 Jan 1970 00:00:00 GMT",
    "a=1; expires=garbage",
    "a",
    "a=",
    "a=b=c; foo=bar",
    ' a = "x y" ; path = /q ',
    'a="\\303\\251 \\073"',
]


def stored(library: Any, header: str, **options: Any) -> list[dict[str, Any]]:
    client = library[2](cookie_app(library))
    client.get("/a/b", query_string={"h": header}, **options)
    return [asdict(cookie) for cookie in client._cookies.values()]


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("base_url", ["http://localhost/", "https://localhost:5000/app"])
def test_cookies_are_kept_as_by_werkzeugs_client(header: str, base_url: str) -> None:
    assert stored(OURS, header, base_url=base_url) == stored(THEIRS, header, base_url=base_url)


@pytest.mark.parametrize("header", ["", "=x", "a=1; Max-Age=x"])
def test_an_invalid_cookie_is_ignored_where_werkzeug_fails(header: str) -> None:
    assert [cookie["key"] for cookie in stored(OURS, header)] == (["a"] if "a" in header else [])


def test_a_leading_dot_of_a_domain_is_ignored() -> None:
    (cookie,) = stored(OURS, "a=1; Domain=.LocalHost")
    assert (cookie["domain"], cookie["origin_only"]) == ("localhost", False)


@pytest.mark.parametrize(
    ("cookie_path", "path"),
    [("/a", "/a"), ("/a", "/ab"), ("/a", "/a/b"), ("/a/", "/a"), ("/a/", "/a/b"), ("/a", "/")],
)
def test_cookies_match_paths_as_in_werkzeugs_client(cookie_path: str, path: str) -> None:
    texts = []
    for library in (THEIRS, OURS):
        client = library[2](cookie_app(library))
        client.set_cookie("k", "v", path=cookie_path)
        texts.append(client.get(path).text)
    assert texts[1] == texts[0]


@pytest.mark.parametrize("host", ["localhost", "sub.localhost", "other", "LOCALHOST"])
@pytest.mark.parametrize("origin_only", [True, False])
def test_cookies_match_domains_as_in_werkzeugs_client(host: str, origin_only: bool) -> None:
    texts = []
    for library in (THEIRS, OURS):
        client = library[2](cookie_app(library))
        client.set_cookie("k", "v", origin_only=origin_only)
        texts.append(client.get("/", base_url=f"http://{host}").text)
    assert texts[1] == texts[0]


def test_cookies_can_be_set_read_and_deleted() -> None:
    client = Client(cookie_app(OURS))
    client.set_cookie("k", 'v é;"', path="/p", httponly=True, samesite="Strict", max_age=5)
    cookie = client.get_cookie("k", path="/p")
    assert cookie is not None
    assert (cookie.decoded_value, cookie.http_only, cookie.same_site, cookie.max_age) == (
        'v é;"',
        True,
        "Strict",
        5,
    )
    assert client.get_cookie("k") is None
    client.delete_cookie("k", path="/p")
    client.delete_cookie("k", path="/p")
    assert client.get_cookie("k", path="/p") is None


def test_a_client_without_cookies_raises_an_error() -> None:
    client = Client(cookie_app(OURS), use_cookies=False)
    for call in (client.set_cookie, client.get_cookie, client.delete_cookie):
        with pytest.raises(TypeError, match="use_cookies"):
            call("k")
    assert client.get("/", headers={"Cookie": "a=1"}).text == "[('a', '1')]"


def test_the_clients_cookies_replace_a_cookie_header() -> None:
    client = Client(cookie_app(OURS))
    assert client.get("/", headers={"Cookie": "a=1"}).text == "[]"
    client.set_cookie("b", "2")
    assert client.get("/", headers={"Cookie": "a=1"}).text == "[('b', '2')]"


@pytest.mark.parametrize("library", [OURS, THEIRS])
def test_the_cookies_of_a_client_are_a_dict_as_in_werkzeug(library: Any) -> None:
    # Tests of extensions count and clear them: len(client._cookies), client._cookies.clear().
    client = library[2](cookie_app(library))
    client.set_cookie("a", "1")
    client.set_cookie("b", "2", domain="example.com", path="/x")
    assert list(client._cookies) == [("localhost", "/", "a"), ("example.com", "/x", "b")]
    assert [cookie.value for cookie in client._cookies.values()] == ["1", "2"]
    client._cookies.clear()
    assert client.get_cookie("a") is None
    client._cookies = {}
    client.set_cookie("a", "1")
    assert client.get("/").text == "[('a', '1')]"
