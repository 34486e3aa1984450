"""The plain port of --redirect-http: 308 to HTTPS, only for hosts with a certificate."""

from __future__ import annotations

import pytest

from carboy.gateway.https_redirect import HttpsRedirect, host_name
from live_engine import hello, served

COVERED = ("shop.example", "192.0.2.1", "2001:db8::1")


@pytest.mark.parametrize(
    ("host", "target", "location"),
    [
        ("shop.example", "/a/b?c=d", "https://shop.example:8443/a/b?c=d"),
        ("SHOP.example:8080", "/", "https://shop.example:8443/"),
        ("shop.example.", "/%0d%0aX:%20y", "https://shop.example:8443/%0d%0aX:%20y"),
        ("shop.example", "//evil.example/x", "https://shop.example:8443//evil.example/x"),
        ("192.0.2.1:80", "/", "https://192.0.2.1:8443/"),
        ("[2001:DB8:0::1]:80", "/", "https://[2001:db8::1]:8443/"),
    ],
)
def test_a_known_host_is_sent_to_the_same_page(host: str, target: str, location: str) -> None:
    with served(hello, gateway=HttpsRedirect(COVERED.__contains__, 8443)) as live:
        for method in ("GET", "POST"):
            with live.client() as client:
                body = b"a=b" if method == "POST" else b""
                client.request(method, target, {"Host": host}, body)
                reply = client.reply()
                assert reply.status == 308
                assert reply.headers["Location"] == location
                assert reply.headers["Cache-Control"] == "no-store"
                assert client.closed()


@pytest.mark.parametrize("host", ["evil.example", "shop.example.evil", "", "shop.example:x"])
def test_a_host_without_a_certificate_is_not_sent_anywhere(host: str) -> None:
    with served(hello, gateway=HttpsRedirect(COVERED.__contains__, 443)) as live:
        with live.client() as client:
            client.request("GET", "/", {"Host": host})
            reply = client.reply()
        assert reply.status in (400, 421)
        assert "Location" not in reply.headers


def test_an_absolute_target_decides_the_host() -> None:
    with served(hello, gateway=HttpsRedirect(COVERED.__contains__, 443)) as live:
        with live.client() as client:
            client.send(b"GET http://shop.example/x HTTP/1.1\r\nHost: evil.example\r\n\r\n")
            assert client.reply().headers["Location"] == "https://shop.example/x"


def test_a_large_body_is_not_waited_for() -> None:
    with served(hello, gateway=HttpsRedirect(COVERED.__contains__, 443)) as live:
        with live.client() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 99999\r\n\r\n")
            assert client.reply().status == 308


def test_host_names_are_compared_without_case_port_and_final_dot() -> None:
    given = {"A.b:1": "a.b", "a.b.": "a.b", "[::1]:8": "::1", "": "", "a:b:c": ""}
    assert {host: host_name(host) for host in given} == given
