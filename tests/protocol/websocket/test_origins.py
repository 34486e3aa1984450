"""The sites whose pages may open a WebSocket."""

from __future__ import annotations

import pytest

from carboy.protocol.websocket.origins import Origins


@pytest.mark.parametrize(
    ("text", "origin", "allowed"),
    [
        ("", "http://evil.test", True),
        ("*", "http://evil.test", True),
        ("same", None, True),
        ("same", "http://shop.test", True),
        ("same", "https://shop.test", True),  # behind a proxy that ends TLS
        ("same", "http://SHOP.test:80", True),
        ("same", "http://shop.test:8080", False),
        ("same", "http://evil.test", False),
        ("same", "http://shop.test.evil.test", False),
        ("same", "null", False),
        ("null", "null", True),
        ("https://a.test", "https://a.test", True),
        ("https://a.test", "https://A.test:443", True),
        ("https://a.test:443", "https://a.test", True),
        ("https://a.test", "http://a.test", False),
        ("https://a.test", "https://b.a.test", False),
        ("https://*.a.test", "https://b.a.test", True),
        ("https://*.a.test", "https://c.b.a.test", True),
        ("https://*.a.test", "https://a.test", False),
        ("https://*.a.test", "https://xa.test", False),
        ("https://*.a.test", "https://*.a.test", False),
        ("same, https://a.test", "https://a.test", True),
        ("same, https://a.test", "http://shop.test", True),
        ("https://a.test", "nonsense", False),
        ("https://a.test", "", False),
    ],
)
def test_an_origin_is_allowed_or_not(text: str, origin: str | None, allowed: bool) -> None:
    assert Origins(text).allows(origin, "shop.test") is allowed


def test_the_port_of_the_host_counts() -> None:
    assert Origins("same").allows("http://shop.test:8080", "shop.test:8080")
    assert Origins("same").allows("http://[::1]:8080", "[::1]:8080")
    assert not Origins("same").allows("http://shop.test", "shop.test:8080")


@pytest.mark.parametrize(
    "text", ["a.test", "https://", "https://a.test/path", "same,,", "https://*"]
)
def test_a_text_that_is_not_an_origin_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an origin"):
        Origins(text)
