"""The opening handshake: what is accepted, refused and negotiated (RFC 6455 and RFC 7692)."""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.protocol import Limits, Machine, RequestHead
from carboy.protocol.websocket.deflate import negotiate
from carboy.protocol.websocket.handshake import Handshake, HandshakeError, read_handshake
from websocket_client import ACCEPT, KEY, handshake


def head_of(data: bytes) -> RequestHead:
    found = Machine(Limits()).receive(data)
    assert isinstance(found, RequestHead), found
    return found


def read(data: bytes) -> Handshake | None:
    return read_handshake(head_of(data))


def refusal(data: bytes) -> HandshakeError:
    with pytest.raises(HandshakeError) as caught:
        read(data)
    return caught.value


def changed(name: str, *values: str) -> bytes:
    """The handshake with other lines for one field."""
    lines = handshake(**{name.replace("-", "_"): None})
    return lines[:-2] + b"".join(f"{name}: {value}\r\n".encode() for value in values) + b"\r\n"


def test_the_example_of_rfc_6455_is_read() -> None:
    found = read(
        handshake(
            "/chat", Origin="http://example.com", Sec_WebSocket_Protocol="chat, superchat",
            Sec_WebSocket_Extensions="permessage-deflate",
        )
    )  # fmt: skip
    assert found == Handshake(
        KEY, ("chat", "superchat"), ("permessage-deflate",), "http://example.com"
    )
    assert dict(found.acceptance("chat")) == {
        "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": ACCEPT,
        "Sec-WebSocket-Protocol": "chat",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Upgrade", ["WebSocket"]), ("Upgrade", ["h2c, websocket"]),
        ("Upgrade", ["h2c", "WEBSOCKET"]), ("Connection", ["keep-alive, Upgrade"]),
        ("Connection", ["upgrade"]), ("Connection", ["keep-alive", "UPGRADE"]),
    ],
)  # fmt: skip
def test_upgrade_and_connection_are_lists_of_words_in_any_case(
    name: str, values: list[str]
) -> None:
    assert read(changed(name, *values)) is not None


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Upgrade", []), ("Upgrade", ["h2c"]), ("Upgrade", ["websockets"]),
        ("Upgrade", ["web socket"]), ("Connection", []), ("Connection", ["keep-alive"]),
        ("Connection", ["upgrades"]),
    ],
)  # fmt: skip
def test_a_request_without_the_upgrade_is_an_ordinary_request(name: str, values: list[str]) -> None:
    assert read(changed(name, *values)) is None


def test_http_1_0_has_no_upgrade() -> None:
    assert read(handshake().replace(b"HTTP/1.1", b"HTTP/1.0")) is None


def test_another_method_is_refused() -> None:
    error = refusal(handshake().replace(b"GET", b"POST"))
    assert error.status == "405 Method Not Allowed"
    assert ("Allow", "GET") in error.headers


@pytest.mark.parametrize("field", [{"Content_Length": "5"}, {"Transfer_Encoding": "chunked"}])
def test_a_body_is_refused(field: Any) -> None:
    assert refusal(handshake(**field)).status == "400 Bad Request"


def test_an_empty_body_is_allowed() -> None:
    assert read(handshake(Content_Length="0")) is not None


@pytest.mark.parametrize(
    "values", [[], ["8"], ["13", "13"], ["13, 8"], ["013"], ["thirteen"], [""]]
)
def test_another_version_is_a_426_that_names_the_version(values: list[str]) -> None:
    error = refusal(changed("Sec-WebSocket-Version", *values))
    assert error.status == "426 Upgrade Required"
    assert ("Sec-WebSocket-Version", "13") in error.headers


@pytest.mark.parametrize(
    "values",
    [
        [], [""], ["abc"], [KEY, KEY], [KEY + ", " + KEY], [KEY[:-1]], [KEY + "="],
        [base64.b64encode(b"x" * 15).decode()], [base64.b64encode(b"x" * 17).decode()],
        ["dGhlIHNhbXBsZSBub25jZ!=="], ["dGhlIHNhbXBs ZSBub25jZQ=="],
    ],
)  # fmt: skip
def test_a_key_that_is_not_16_bytes_in_base64_is_refused(values: list[str]) -> None:
    assert refusal(changed("Sec-WebSocket-Key", *values)).status == "400 Bad Request"


def test_every_key_of_16_bytes_is_accepted() -> None:
    for _ in range(50):
        assert read(changed("Sec-WebSocket-Key", base64.b64encode(os.urandom(16)).decode()))


def test_two_origins_are_refused() -> None:
    assert refusal(changed("Origin", "http://a.test", "http://b.test")).status[:3] == "400"


def test_subprotocols_of_several_lines_are_one_list() -> None:
    found = read(changed("Sec-WebSocket-Protocol", "a, b", "c"))
    assert found is not None
    assert found.subprotocols == ("a", "b", "c")


@pytest.mark.parametrize("values", [["a b"], ["a, a"], ["a", "a"], ["a;q=1"], [""], [","], ["a/b"]])
def test_subprotocols_that_are_not_different_tokens_are_refused(values: list[str]) -> None:
    assert refusal(changed("Sec-WebSocket-Protocol", *values)).status == "400 Bad Request"


def test_only_an_offered_subprotocol_can_be_accepted() -> None:
    found = read(handshake(Sec_WebSocket_Protocol="a, b"))
    assert found is not None
    with pytest.raises(ValueError, match="not offered the subprotocol 'c' .* a, b"):
        found.acceptance("c")
    assert ("Sec-WebSocket-Protocol", "b") in found.acceptance("b")


@pytest.mark.parametrize(
    "field",
    [
        ("Upgrade", "x"), ("sec-websocket-accept", "x"), ("Sec-WebSocket-Protocol", "x"),
        ("Content-Length", "0"), ("Transfer-Encoding", "chunked"), ("X-A", "a\r\nX-B: b"),
        ("X A", "a"),
    ],
)  # fmt: skip
def test_headers_that_would_break_the_acceptance_are_refused(field: tuple[str, str]) -> None:
    found = read(handshake())
    assert found is not None
    with pytest.raises(ValueError, match="header"):
        found.acceptance(headers=[field])


# --- permessage-deflate

SERVER, CLIENT = "server_no_context_takeover", "client_no_context_takeover"
BOTH = f"permessage-deflate; {SERVER}; {CLIENT}"


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ("permessage-deflate", BOTH),
        (f"permessage-deflate; {SERVER}", BOTH),
        (f"permessage-deflate; {CLIENT}", BOTH),
        ("permessage-deflate; client_max_window_bits", BOTH),
        ("permessage-deflate; client_max_window_bits=10", f"{BOTH}; client_max_window_bits=10"),
        ("permessage-deflate; server_max_window_bits=10", f"{BOTH}; server_max_window_bits=10"),
        ('permessage-deflate; server_max_window_bits="9"', f"{BOTH}; server_max_window_bits=9"),
        # An offer that cannot be accepted is declined; the next one counts (RFC 7692, section 5.1).
        ("permessage-deflate; server_max_window_bits=7", None),
        ("permessage-deflate; server_max_window_bits=16", None),
        ("permessage-deflate; server_max_window_bits=09", None),
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; client_max_window_bits=7", None),
        ("permessage-deflate; client_max_window_bits=0", None),
        (f"permessage-deflate; {SERVER}=1", None),
        (f"permessage-deflate; {SERVER}; {SERVER}", None),
        ("permessage-deflate; unknown", None),
        ("x-webkit-deflate-frame", None),
        ("permessage-deflate; server_max_window_bits=7, permessage-deflate", BOTH),
        ("unknown; a=b, permessage-deflate", BOTH),
        (
            "permessage-deflate; server_max_window_bits=11, permessage-deflate",
            f"{BOTH}; server_max_window_bits=11",
        ),
    ],
)
def test_the_first_offer_that_can_be_accepted_is(offer: str, answer: str | None) -> None:
    assert negotiate((offer,))[0] == answer


def test_a_window_of_8_bits_is_declined_for_the_server_and_possible_for_the_client() -> None:
    """Zlib cannot compress with such a window."""
    assert negotiate(("permessage-deflate; server_max_window_bits=8",)) == (None, None)
    assert negotiate(("permessage-deflate; client_max_window_bits=8",))[0] is not None


def test_nothing_is_negotiated_without_compression() -> None:
    assert negotiate(("permessage-deflate",), allowed=False) == (None, None)
    assert negotiate((), allowed=True) == (None, None)


@pytest.mark.parametrize(
    "line",
    ["", ",", "a b", "a;", "a; =1", "a; b=", 'a; b="', 'a; b="c d"', "a; b=(c)", "=", "a,;b",
     "a;b;;c"],
)  # fmt: skip
def test_a_malformed_line_is_refused(line: str) -> None:
    with pytest.raises(HandshakeError) as caught:
        negotiate(("permessage-deflate", line), allowed=False)
    assert caught.value.status == "400 Bad Request"


@given(st.text(alphabet='ab;,= "\\\t', max_size=30))
def test_any_line_is_parsed_or_refused(line: str) -> None:
    try:
        negotiate((line.strip(" \t"),))
    except HandshakeError as error:
        assert error.status == "400 Bad Request"  # noqa: PT017
