from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.protocol.proxy_protocol import (
    LONGEST,
    ProxyError,
    ProxyHeader,
    ProxyReader,
    ProxyTls,
    crc32c,
)

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
AFTER = b"GET / HTTP/1.1\r\n"


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def second(family: int, addresses: bytes, *tlvs: bytes, command: int = 0x21) -> bytes:
    rest = addresses + b"".join(tlvs)
    return SIGNATURE + struct.pack("!BBH", command, family, len(rest)) + rest


def addresses_4(source: str = "192.0.2.1", destination: str = "198.51.100.7") -> bytes:
    both = [ipaddress.ip_address(each).packed for each in (source, destination)]
    return b"".join(both) + struct.pack("!HH", 4711, 443)


FOUR = addresses_4()
SIX = addresses_4("2001:db8::1", "2001:db8::2")


def read(data: bytes, cuts: list[int] | None = None) -> tuple[ProxyHeader | None, int]:
    """The header, and how many bytes of `data` belong to it, from pieces that end at `cuts`."""
    reader = ProxyReader()
    used = 0
    for end in [*sorted(set(cuts or [])), len(data)]:
        while used < end and reader.header is None:
            used += reader.take(data[used:end])
    return reader.header, used


# --- version 1


@pytest.mark.parametrize(
    ("line", "source", "destination"),
    [
        (
            b"PROXY TCP4 192.0.2.1 198.51.100.7 4711 443\r\n",
            ("192.0.2.1", 4711),
            ("198.51.100.7", 443),
        ),
        (b"PROXY TCP6 2001:db8::1 ::1 0 65535\r\n", ("2001:db8::1", 0), ("::1", 65535)),
        (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", ("192.0.2.1", 1), ("::1", 2)),
        (b"PROXY UNKNOWN\r\n", None, None),
        (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", None, None),
    ],
)
def test_a_line_names_the_client(
    line: bytes, source: tuple[str, int] | None, destination: tuple[str, int] | None
) -> None:
    header, used = read(line + AFTER)
    assert header == ProxyHeader(1, source=source, destination=destination)
    assert used == len(line)


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"GET / HTTP/1.1\r\n", "does not begin"),
        (b"PROXZ", "does not begin"),
        (b"\x16\x03\x01", "does not begin"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", "CRLF"),
        (b"PROXY TCP4\r192.0.2.1 192.0.2.2 1 2\r\n", "CRLF"),
        (b"PROXY \r\n", "not 'PROXY TCP4"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", "not 'PROXY TCP4"),
        (b"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n", "not 'PROXY TCP4"),
        (b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", "not 'PROXY TCP4"),
        (b"PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n", "an address that is not one"),
        (b"PROXY TCP4 2001:db8::1 192.0.2.2 1 2\r\n", "another family"),
        (b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "an address that is not one"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n", "a port"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", "a port"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n", "a port"),
        (b"PROXY UNKNOWN " + b"x" * 100, "107 bytes"),
    ],
)
def test_a_line_that_breaks_a_rule_is_refused(data: bytes, part: str) -> None:
    with pytest.raises(ProxyError, match=part):
        read(data)


# --- version 2


def test_binary_headers_name_the_client() -> None:
    header, used = read(second(0x11, FOUR) + AFTER)
    assert header == ProxyHeader(2, source=("192.0.2.1", 4711), destination=("198.51.100.7", 443))
    assert used == 28
    header, _ = read(second(0x21, SIX) + AFTER)
    assert header == ProxyHeader(2, source=("2001:db8::1", 4711), destination=("2001:db8::2", 443))


@pytest.mark.parametrize(
    "data",
    [
        second(0x00, b""),  # unspecified
        second(0x31, bytes(216)),  # a unix socket
        second(0x12, FOUR),  # datagrams
    ],
)
def test_other_families_leave_the_address_of_the_connection(data: bytes) -> None:
    header, used = read(data + AFTER)
    assert header == ProxyHeader(2)
    assert used == len(data)


@pytest.mark.parametrize(
    "data",
    [
        second(0x00, b"", command=0x20),
        second(0x11, FOUR, tlv(2, b"shop.example"), command=0x20),
        second(0x11, b"", command=0x20),  # the family and all that follows it are ignored
        second(0xFF, b"\x01\x00", command=0x20),
    ],
)
def test_a_local_connection_is_that_of_the_proxy(data: bytes) -> None:
    header, used = read(data + AFTER)
    assert header == ProxyHeader(2, local=True)
    assert used == len(data)


def test_tlvs_are_read() -> None:
    tls = b"\x07" + bytes(4) + tlv(0x21, b"TLSv1.3") + tlv(0x22, b"Ann") + tlv(0x23, b"AES")
    header, _ = read(
        second(
            0x11, FOUR, tlv(0x01, b"h2"), tlv(0x02, b"shop.example"), tlv(0x05, b"\x00id"),
            tlv(0x20, tls), tlv(0xEA, b"\x01vpce-08d2bf15fac5001c9"), tlv(0xEE, b"\x01\x10\0\0\1"),
            tlv(0xE0, bytes(7) + b"\x2a"), tlv(0x04, b"padding"), tlv(0xE1, b"own"),
        )
    )  # fmt: skip
    assert header is not None
    assert header.alpn == "h2"
    assert header.authority == "shop.example"
    assert header.unique_id == b"\x00id"
    assert header.tls == ProxyTls(True, "TLSv1.3", "AES", "Ann", True, True)
    assert header.aws_vpc_endpoint == "vpce-08d2bf15fac5001c9"
    assert header.azure_link == 0x01000010
    assert header.gcp_psc_connection == 42
    assert header.tlvs[0xE1] == b"own"
    assert 0x04 not in header.tlvs
    assert header.as_dict()["tls"]["common_name"] == "Ann"


def test_text_that_is_not_printable_is_left_out() -> None:
    header, _ = read(second(0x11, FOUR, tlv(0x02, b"a\r\nb"), tlv(0x01, b"\xff")))
    assert header is not None
    assert (header.authority, header.alpn) == (None, None)
    assert header.tlvs[0x02] == b"a\r\nb"


def test_a_certificate_that_is_not_valid_is_not_verified() -> None:
    header, _ = read(second(0x11, FOUR, tlv(0x20, b"\x03" + b"\0\0\0\x12")))
    assert header is not None and header.tls is not None
    assert (header.tls.certificate, header.tls.verified) == (True, False)


def test_the_checksum_is_checked() -> None:
    blank = second(0x11, FOUR, tlv(0x03, bytes(4)), tlv(0x02, b"a"))
    right = blank.replace(tlv(0x03, bytes(4)), tlv(0x03, crc32c(blank).to_bytes(4, "big")))
    assert read(right)[0] is not None
    with pytest.raises(ProxyError, match="checksum"):
        read(right[:-1] + b"b")
    assert crc32c(b"123456789") == 0xE3069283  # RFC 9260, appendix A, and Castagnoli


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (SIGNATURE[:4] + b"GET", "does not begin"),
        (second(0x11, FOUR, command=0x11), "is 1, not 2"),
        (second(0x11, FOUR, command=0x22), "is 2, not 0"),
        (second(0x13, FOUR), "address family"),
        (second(0x41, FOUR), "address family"),
        (second(0x11, FOUR[:-1]), "cut off"),
        (second(0x21, FOUR), "cut off"),
        (second(0x11, FOUR, b"\x01\x00"), "TLV of"),
        (second(0x11, FOUR, b"\x01\x00\x05abc"), "TLV of"),
        (second(0x11, FOUR, tlv(0x20, b"\x01")), "cut off"),
        (
            second(0x11, FOUR, tlv(0x20, b"\x01" + bytes(4) + b"\x21")),
            "TLV of the header is cut off",
        ),
        (second(0x11, FOUR, *[tlv(0x04, b"")] * 65), "64 TLVs"),
        (SIGNATURE + b"\x21\x11\xff\xff", "4096 bytes"),
    ],
)
def test_a_binary_header_that_breaks_a_rule_is_refused(data: bytes, part: str) -> None:
    with pytest.raises(ProxyError, match=part):
        read(data)


# --- pieces

HEADERS = [
    b"PROXY TCP4 192.0.2.1 198.51.100.7 4711 443\r\n",
    b"PROXY UNKNOWN\r\n",
    second(0x11, FOUR),
    second(
        0x21, SIX, tlv(2, b"shop.example"), tlv(0x20, b"\x01" + bytes(4) + tlv(0x21, b"TLSv1.3"))
    ),
    second(0x00, b"", command=0x20),
]


@pytest.mark.parametrize("data", HEADERS)
def test_a_header_may_be_split_at_every_byte(data: bytes) -> None:
    whole = read(data + AFTER)
    assert whole[1] == len(data)
    for cut in range(1, len(data) + len(AFTER)):
        assert read(data + AFTER, [cut]) == whole
    assert read(data + AFTER, list(range(1, len(data)))) == whole
    for end in range(1, len(data)):
        assert read(data[:end]) == (None, end)


@given(st.sampled_from(HEADERS), st.binary(max_size=60), st.data())
def test_the_outcome_does_not_depend_on_the_pieces(
    header: bytes, noise: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(header)))
    given_bytes = header[:at] + noise + header[at:]
    if not given_bytes:
        return
    cuts = data.draw(st.lists(st.integers(1, len(given_bytes)), max_size=6))

    def outcome(pieces: list[int]) -> object:
        try:
            return read(given_bytes, pieces)
        except ProxyError:
            return "refused"

    assert outcome(cuts) == outcome([])


@given(st.binary(min_size=1, max_size=80))
def test_nothing_but_a_proxy_error_is_raised(noise: bytes) -> None:
    for data in (noise, SIGNATURE + noise, b"PROXY TCP4 " + noise, second(0x11, FOUR, noise)):
        try:
            _, used = read(data)
        except ProxyError:
            continue
        assert used <= min(len(data), LONGEST)
