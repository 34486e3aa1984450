"""Decisions about Forwarded and X-Forwarded-*; tests/server/test_trusted_peers.py has the lanes."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.protocol.events import ForwardedHead, RequestHead
from carboy.protocol.limits import Limits
from carboy.protocol.machine import Machine
from carboy.server.forwarding import Forwarding
from carboy.server.trust import Trust

PEER = ("10.0.0.1", 5000)
STRANGER = ("203.0.113.9", 5000)


def parsed(*lines: str, underscores: bool = False) -> RequestHead:
    block = "".join(f"{line}\r\n" for line in ("Host: inner:8000", *lines))
    machine = Machine(Limits(underscore_fields=underscores))
    head = machine.receive(f"GET /a HTTP/1.1\r\n{block}\r\n".encode("latin-1"))
    assert isinstance(head, RequestHead)
    return head


def applied(
    *lines: str, peer: Any = PEER, trust: Trust | None = None, underscores: bool = False
) -> Any:
    exchange = SimpleNamespace(
        connection=SimpleNamespace(peer=peer), scheme="http", forwarded_scheme=None,
        forwarded_client=None, root_path="", outer_path="",
    )  # fmt: skip
    exchange.head = parsed(*lines, underscores=underscores)
    Forwarding(trust or Trust(trusted_proxies=("10.0.0.0/8", "unix"))).apply(
        exchange, exchange.head
    )  # type: ignore[arg-type]
    exchange.fields = {name.lower(): value for name, value in exchange.head.fields()}
    return exchange


# --- which requests are looked at


@pytest.mark.parametrize(
    "name", ["Forwarded", "X-Forwarded-For", "x-fORWARDED-pROTO", "X-Forwarded-Host"]
)
def test_a_head_with_such_a_field_is_of_its_own_class(name: str) -> None:
    assert type(parsed(f"{name}: x")) is ForwardedHead


def test_other_heads_are_ordinary_ones() -> None:
    assert type(parsed("X-Real-IP: 1.2.3.4")) is RequestHead


def test_a_second_request_with_the_same_fields_is_looked_at_as_well() -> None:
    machine = Machine(Limits())
    data = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"
    for _ in range(3):
        assert type(machine.receive(data)) is ForwardedHead
        machine.whole_response("200 OK", [], b"", b"")


# --- peers that are not trusted


def test_every_such_field_of_a_stranger_is_removed() -> None:
    exchange = applied(
        "Forwarded: for=1.2.3.4", "X-Forwarded-For: 1.2.3.4", "X-FORWARDED-PROTO: https",
        "X-Forwarded-Host: evil", "X-Forwarded-Port: 1", "X-Forwarded-Prefix: /evil",
        "X-Forwarded-Server: evil", "X_Forwarded_For: 1.2.3.4", "x-forwarded_proto: https",
        "Accept: */*",
        peer=STRANGER, underscores=True,
    )  # fmt: skip
    assert exchange.fields == {"host": "inner:8000", "accept": "*/*"}
    assert (exchange.forwarded_client, exchange.forwarded_scheme) == (None, None)
    assert exchange.root_path == ""


def test_a_field_that_only_has_the_word_is_kept() -> None:
    exchange = applied("X-Was-Forwarded: 1", "Note: forwarded", peer=STRANGER)
    assert exchange.fields == {"host": "inner:8000", "x-was-forwarded": "1", "note": "forwarded"}


def test_underscores_are_removed_from_a_trusted_proxy_too() -> None:
    exchange = applied("X_Forwarded_For: 1.2.3.4", underscores=True)
    assert exchange.fields == {"host": "inner:8000"}
    assert exchange.forwarded_client is None


def test_the_application_decides_if_it_is_asked_to() -> None:
    exchange = applied(
        "X-Forwarded-For: 1.2.3.4", peer=STRANGER, trust=Trust(trusted_proxies=("application",))
    )
    assert exchange.fields["x-forwarded-for"] == "1.2.3.4"
    assert exchange.forwarded_client is None


# --- the client


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("6.6.6.6, 192.0.2.1", "192.0.2.1"),
        ("6.6.6.6, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("10.9.9.9, 10.0.0.2", "10.9.9.9"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("6.6.6.6, unknown", None),
        ("6.6.6.6, nonsense", None),
        ("6.6.6.6, nonsense, 10.0.0.2", "10.0.0.2"),
        ("6.6.6.6, _hidden, 10.0.0.2", "10.0.0.2"),
        (" , ", None),
    ],
)
def test_the_client_is_counted_from_the_right(value: str, client: str | None) -> None:
    exchange = applied(f"X-Forwarded-For: {value}")
    assert (exchange.forwarded_client or (None,))[0] == client
    assert exchange.fields.get("x-forwarded-for") == client


def test_several_lines_are_one_list() -> None:
    exchange = applied("X-Forwarded-For: 6.6.6.6", "x-forwarded-for: 192.0.2.1")
    assert exchange.forwarded_client == ("192.0.2.1", 0)


def test_a_star_counts_one_proxy() -> None:
    trust = Trust(trusted_proxies=("*",))
    exchange = applied("X-Forwarded-For: 6.6.6.6, 192.0.2.1", peer=STRANGER, trust=trust)
    assert exchange.forwarded_client == ("192.0.2.1", 0)


def test_a_unix_socket_is_a_proxy() -> None:
    exchange = applied("X-Forwarded-For: 192.0.2.1:99", peer=None, trust=Trust())
    assert exchange.forwarded_client == ("192.0.2.1", 99)


# --- scheme, host, port and prefix


@pytest.mark.parametrize(
    ("text", "scheme"),
    [("https", "https"), ("HTTP", "http"), ("wss", "https"), ("ws", "http"), ("ftp", None)],
)
def test_the_scheme_is_one_of_the_web(text: str, scheme: str | None) -> None:
    exchange = applied(f"X-Forwarded-Proto: {text}")
    assert exchange.forwarded_scheme == scheme
    assert exchange.fields.get("x-forwarded-proto") == scheme


def test_a_list_of_schemes_is_counted_like_the_clients() -> None:
    exchange = applied("X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https, http")
    assert exchange.forwarded_scheme == "http"
    exchange = applied("X-Forwarded-For: 192.0.2.1, 10.0.0.2", "X-Forwarded-Proto: https, http")
    assert exchange.forwarded_scheme == "https"


@pytest.mark.parametrize(
    ("lines", "host"),
    [
        (["X-Forwarded-Host: shop.example"], "shop.example"),
        (["X-Forwarded-Host: shop.example:8443"], "shop.example:8443"),
        (["X-Forwarded-Host: evil.example/path"], "inner:8000"),
        (["X-Forwarded-Host: user@evil.example"], "inner:8000"),
        (["X-Forwarded-Host: a b"], "inner:8000"),
        ([f"X-Forwarded-Host: {'a' * 300}"], "inner:8000"),
        (["X-Forwarded-Host: shop.example", "X-Forwarded-Port: 8080"], "shop.example:8080"),
        (["X-Forwarded-Host: [::1]", "X-Forwarded-Port: 8080"], "[::1]:8080"),
        (["X-Forwarded-Host: shop.example", "X-Forwarded-Port: 80"], "shop.example"),
        # the port of TLS, which ended at another proxy
        (["X-Forwarded-Host: shop.example", "X-Forwarded-Port: 443"], "shop.example"),
        (["X-Forwarded-Host: shop.example:81", "X-Forwarded-Port: 82"], "shop.example:81"),
        (["X-Forwarded-Port: 82"], "inner:8000"),
        (["X-Forwarded-Host: shop.example", "X-Forwarded-Port: 0"], "shop.example"),
        (["X-Forwarded-Host: shop.example", "X-Forwarded-Port: 65536"], "shop.example"),
    ],
)
def test_the_host_is_valid_and_has_its_port(lines: list[str], host: str) -> None:
    exchange = applied(*lines)
    assert exchange.head.host == host
    assert exchange.fields["host"] == host
    assert [name for name, _ in exchange.head.fields()].count("Host") == 1


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("/shop", "/shop"),
        ("/shop/", "/shop"),
        ("/a/b", "/a/b"),
        ("/caf%C3%A9", "/café"),
        *(
            (text, "")
            for text in ("/", "shop", "//evil.example", "/a//b", "/a/../b", "/a?b", "\\a")
        ),
    ],
)
def test_a_prefix_is_a_path(text: str, prefix: str) -> None:
    exchange = applied(f"X-Forwarded-Prefix: {text}")
    assert exchange.root_path == exchange.outer_path == prefix
    exchange.head.raw_fields()


# --- Forwarded


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("for=192.0.2.1;proto=https;host=shop.example", ("192.0.2.1", "https", "shop.example")),
        ('for="[2001:db8::1]:99"', ("2001:db8::1", None, "inner:8000")),
        ("for=6.6.6.6;proto=https, for=192.0.2.1", ("192.0.2.1", None, "inner:8000")),
        (
            "for=192.0.2.1;proto=https, for=10.0.0.2;proto=http",
            ("192.0.2.1", "https", "inner:8000"),
        ),
        ("for=unknown;proto=https", (None, "https", "inner:8000")),
        ("for=_x;host=shop.example", (None, None, "shop.example")),
        ("proto=https", (None, "https", "inner:8000")),
        ("for=6.6.6.6, proto=https", (None, "https", "inner:8000")),
        ("for=192.0.2.1;for=6.6.6.6", (None, None, "inner:8000")),
        ('for=192.0.2.1;host="evil.example/a"', ("192.0.2.1", None, "inner:8000")),
    ],
)
def test_forwarded_is_read(value: str, expected: tuple[str | None, str | None, str]) -> None:
    exchange = applied(f"Forwarded: {value}")
    client = exchange.forwarded_client
    assert (client and client[0], exchange.forwarded_scheme, exchange.head.host) == expected


def test_forwarded_is_replaced_by_what_was_taken() -> None:
    exchange = applied("Forwarded: for=6.6.6.6, for=192.0.2.1;proto=https")
    assert exchange.fields["forwarded"] == "for=192.0.2.1;proto=https"


def test_x_forwarded_is_taken_if_both_come() -> None:
    exchange = applied("Forwarded: for=6.6.6.6;proto=https", "X-Forwarded-For: 192.0.2.1")
    assert exchange.forwarded_client == ("192.0.2.1", 0)
    assert exchange.forwarded_scheme is None
    assert "forwarded" not in exchange.fields


def test_only_the_chosen_fields_are_taken() -> None:
    trust = Trust(trusted_proxies=("10.0.0.1",), forwarded_fields=("forwarded",))
    exchange = applied(
        "Forwarded: for=192.0.2.1",
        "X-Forwarded-For: 6.6.6.6",
        "X-Forwarded-Host: evil",
        trust=trust,
    )
    assert exchange.forwarded_client == ("192.0.2.1", 0)
    assert exchange.fields == {"host": "inner:8000", "forwarded": "for=192.0.2.1"}


# --- whatever comes

VALUES = st.text(
    alphabet=st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"),
    max_size=30,
)
NAMES = st.sampled_from(
    [f"X-Forwarded-{name}" for name in ("For", "Proto", "Host", "Port", "Prefix")] + ["Forwarded"]
)


@given(st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=6), st.booleans())
def test_no_value_breaks_a_request(fields: list[tuple[str, str]], strange: bool) -> None:
    lines = [f"{name}: {value}" for name, value in fields]
    exchange = applied(*lines, peer=STRANGER if strange else PEER)
    again = parsed(
        *(f"{name}: {value}" for name, value in exchange.fields.items() if name != "host")
    )
    assert again.path == "/a"
    if strange:
        assert exchange.fields == {"host": "inner:8000"}


# --- the log


def test_removed_headers_of_a_local_proxy_are_mentioned_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    forwarding = Forwarding(Trust())
    caplog.set_level(logging.INFO, "carboy.error")
    for peer in (("127.0.0.1", 1), ("127.0.0.1", 2), STRANGER):
        exchange: Any = SimpleNamespace(connection=SimpleNamespace(peer=peer))
        forwarding.apply(exchange, parsed("X-Forwarded-For: 1.2.3.4"))
    assert [record.message for record in caplog.records] == [
        "Headers of 127.0.0.1 that name the client (X-Forwarded-For) were removed, because it is"
        " not a trusted proxy. If it is your proxy, use --trusted-proxies 127.0.0.1."
    ]


def test_what_was_taken_is_explained_once_for_each_proxy(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "carboy.error")
    trust = Trust(trusted_proxies=("10.0.0.1",), forwarded_log=True)
    applied("X-Forwarded-For: 6.6.6.6, 192.0.2.1", "X-Forwarded-Proto: https", trust=trust)
    (record,) = caplog.records
    assert (
        "From the proxy 10.0.0.1 (trusted): client 192.0.2.1, the first address from the right that"
        " is not a trusted proxy; scheme https; host 'inner:8000'."
    ) in record.message
    assert "scheme https" in record.message
    assert "X-Forwarded-For '6.6.6.6, 192.0.2.1'" in record.message


def test_values_that_are_not_valid_are_counted_and_escaped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    forwarding = Forwarding(Trust(trusted_proxies=("10.0.0.1",)))
    for _ in range(10):
        exchange: Any = SimpleNamespace(connection=SimpleNamespace(peer=PEER), scheme="http")
        forwarding.apply(exchange, parsed("X-Forwarded-Proto: \x9bé" + "x" * 200))
    assert forwarding.log.count == 10
    assert len(caplog.records) == 2
    assert r"'\x9b\xe9xxx" in caplog.records[0].message
    assert len(caplog.records[0].message) < 300
    assert caplog.records[1].message.endswith("which is not valid and was ignored (10 so far).")
