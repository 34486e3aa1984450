"""Which pages may open a WebSocket."""

from __future__ import annotations

from typing import Any

import pytest

from carboy import Carboy
from carboy.realtime.websocket_origin import is_allowed, origins_of
from carboy.testing import WebSocketRefused


@pytest.mark.parametrize(
    ("origin", "host", "secure", "allowed"),
    [
        ("http://example.com", "example.com", False, True),
        ("http://EXAMPLE.com:80", "example.com", False, True),
        ("https://example.com", "example.com", True, True),
        ("https://example.com", "example.com", False, True),  # behind a proxy that ends TLS
        ("https://example.com", "example.com:443", False, True),
        ("http://example.com", "example.com", True, False),  # any network may have changed it
        ("http://example.com:8000", "example.com:8000", False, True),
        ("http://example.com:8000", "example.com", False, False),
        ("http://[::1]:8000", "[::1]:8000", False, True),
        ("http://other.com", "example.com", False, False),
        ("http://sub.example.com", "example.com", False, False),
        ("http://example.com.evil.com", "example.com", False, False),
        ("http://example.com@evil.com", "example.com", False, False),
        ("http://example.com:port", "example.com", False, False),
        ("null", "example.com", False, False),
        ("", "example.com", False, False),
        ("file://", "example.com", False, False),
    ],
)
def test_the_own_host_is_allowed(origin: str, host: str, secure: bool, allowed: bool) -> None:
    assert is_allowed(origin, host, secure) is allowed


@pytest.mark.parametrize(
    ("origin", "others", "allowed"),
    [
        ("https://example.com", ["https://example.com"], True),
        ("https://example.com", ["HTTPS://EXAMPLE.COM:443"], True),
        ("http://example.com", ["https://example.com"], False),
        ("https://a.example.com", ["https://*.example.com"], True),
        ("https://a.b.example.com", ["https://*.example.com"], True),
        ("https://example.com", ["https://*.example.com"], False),
        ("https://evilexample.com", ["https://*.example.com"], False),
        ("https://example.com:8443", ["https://example.com"], False),
        ("https://anywhere.com", ["*"], True),
        ("null", ["*"], True),
        ("null", ["https://example.com"], False),
    ],
)
def test_the_setting_allows_further_origins(origin: str, others: list[str], allowed: bool) -> None:
    assert is_allowed(origin, "api.net", False, origins_of(others)) is allowed


@pytest.mark.parametrize("wrong", ["example.com", "https://example.com/path", "", "https://"])
def test_a_setting_that_cannot_match_is_an_error(wrong: str) -> None:
    with pytest.raises(ValueError, match="which is not an origin. Write a scheme and a host"):
        origins_of([wrong])


def test_a_page_of_another_site_is_refused_with_a_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Carboy(__name__)
    called: list[Any] = []
    app.add_websocket("/x", "x", called.append)
    client = app.test_client()
    with pytest.raises(WebSocketRefused) as refused:
        client.websocket("/x", headers={"Origin": "https://evil.com"})
    assert refused.value.response.status_code == 403
    assert not called
    assert "its page is of 'https://evil.com' and this host is 'localhost'" in caplog.text
    app.config["WEBSOCKET_ORIGINS"] = ["https://evil.com"]
    for headers in ({"Origin": "https://evil.com"}, {"Origin": "http://localhost"}, {}):
        with client.websocket("/x", headers=headers) as ws:
            assert ws.response.status_code == 101
