"""The PROXY protocol, versions 1 and 2: one header before the bytes of the client.

A proxy that passes on a TCP connection names the client there (HAProxy's specification,
doc/proxy-protocol.txt). `ProxyReader` takes bytes in whatever pieces they arrive. It never takes a
byte that follows the header.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Any

from carboy.late import compiled_later

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"  # of version 2
PREFIX = b"PROXY "  # of version 1
LONGEST_LINE = 107  # bytes of version 1, with CRLF
FIXED = 16  # bytes of version 2 before the addresses
# Bytes after them: the addresses of unix sockets have 216, and TLVs are short, but those of a
# certificate are not. The field has 16 bits.
LONGEST_REST = 4096
LONGEST = FIXED + LONGEST_REST
TCP4, TCP6 = b"TCP4", b"TCP6"
_port = compiled_later(rb"0|[1-9][0-9]{0,4}")
_address = compiled_later(rb"[0-9A-Fa-f:.]{2,39}")
# Address family and transport: struct sizes and names (section 2.2)
STREAM_4, STREAM_6, UNIX_STREAM = 0x11, 0x21, 0x31
SIZES = {0x10: 12, 0x20: 36, 0x30: 216}

# Types of TLVs (section 2.2.1 and those of providers)
ALPN, AUTHORITY, CRC32C, NOOP, UNIQUE_ID, SSL, NETNS = 0x01, 0x02, 0x03, 0x04, 0x05, 0x20, 0x30
AWS, AZURE, GCP = 0xEA, 0xEE, 0xE0
SSL_VERSION, SSL_CN, SSL_CIPHER, SSL_SIGNATURE, SSL_KEY = 0x21, 0x22, 0x23, 0x24, 0x25
AWS_ENDPOINT, AZURE_LINK = 0x01, 0x01
MOST_TLVS = 64
_text = compiled_later(r"[ -~]*")


class ProxyError(Exception):
    """The header breaks a rule of the protocol; the text says which."""


@dataclass(frozen=True, slots=True)
class ProxyTls:
    """TLS between the client and the proxy, as the proxy says (PP2_TYPE_SSL)."""

    used: bool  # the client has connected over TLS
    version: str | None = None
    cipher: str | None = None
    common_name: str | None = None  # of the client's certificate
    certificate: bool = False  # the client has shown one, in this connection or the session
    verified: bool = False  # and the proxy has found it valid


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """The facts of one header. Without addresses, those of the connection itself count.

    `tlvs` has all of them, by type; of a type that comes more than once, the last value.
    """

    version: int
    local: bool = False  # the proxy has connected for itself, for a health check
    source: tuple[str, int] | None = None
    destination: tuple[str, int] | None = None
    alpn: str | None = None
    authority: str | None = None  # the host of the client's TLS (SNI)
    unique_id: bytes | None = None
    aws_vpc_endpoint: str | None = None
    azure_link: int | None = None
    gcp_psc_connection: int | None = None
    tls: ProxyTls | None = None
    tlvs: dict[int, bytes] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The facts that are known, by name, for a scope."""
        found = {
            name: getattr(self, name) for name in self.__slots__ if name not in ("tls", "tlvs")
        }
        if self.tls is not None:
            found["tls"] = {name: getattr(self.tls, name) for name in self.tls.__slots__}
        found["tlvs"] = dict(self.tlvs)
        return {name: value for name, value in found.items() if value is not None}


class ProxyReader:
    """Reads one header.

    `take` gets the bytes that wait, and returns how many of them belong to the header. `header` is
    set when it is complete. Raises ProxyError at the first byte that breaks a rule.
    """

    def __init__(self) -> None:
        self._data = b""
        self.header: ProxyHeader | None = None

    def take(self, waiting: bytes) -> int:
        """Take the bytes of the header from the beginning of `waiting`; returns their number."""
        before = len(self._data)
        data = self._data + waiting
        if data[:1] == SIGNATURE[:1]:
            used = self._second(data)
        else:
            used = self._first(data)
        self._data = data[:used]
        return used - before

    def _first(self, data: bytes) -> int:
        if data[: len(PREFIX)] != PREFIX[: len(data)]:
            raise ProxyError("The connection does not begin with a header of the PROXY protocol.")
        end = data.find(b"\n", 0, LONGEST_LINE) + 1
        if end:
            self.header = read_line(data[:end])
            return end
        if len(data) >= LONGEST_LINE:
            raise ProxyError("The line of the header is longer than 107 bytes.")
        return len(data)

    def _second(self, data: bytes) -> int:
        if data[: len(SIGNATURE)] != SIGNATURE[: len(data)]:
            raise ProxyError("The connection does not begin with a header of the PROXY protocol.")
        if len(data) < FIXED:
            return len(data)
        rest = int.from_bytes(data[14:FIXED], "big")
        if rest > LONGEST_REST:
            raise ProxyError(f"The header is longer than {LONGEST_REST} bytes.")
        size = FIXED + rest
        if len(data) < size:
            return len(data)
        self.header = read_binary(data[:size])
        return size


# --- version 1


def read_line(line: bytes) -> ProxyHeader:
    """The header in a line of version 1 (section 2.1). Raises ProxyError."""
    if line[-2:] != b"\r\n" or b"\r" in line[:-2]:
        raise ProxyError("The line of the header does not end in CRLF.")
    parts = line[:-2].split(b" ")
    if parts[1] == b"UNKNOWN":
        return ProxyHeader(1)  # what follows is ignored
    if len(parts) != 6 or parts[1] not in (TCP4, TCP6):
        raise ProxyError("The header is not 'PROXY TCP4 source destination port port'.")
    _, family, source, destination, source_port, destination_port = parts
    four = family == TCP4
    return ProxyHeader(
        1,
        source=(_read_address(source, four), _read_port(source_port)),
        destination=(_read_address(destination, four), _read_port(destination_port)),
    )


def _read_address(text: bytes, four: bool) -> str:
    try:
        if not _address.fullmatch(text):
            raise ValueError
        address = ip_address(text.decode())
    except ValueError:
        raise ProxyError("The header has an address that is not one.") from None
    if (address.version == 4) is not four:
        raise ProxyError("The header has an address of another family.")
    return _plain(address)


def _plain(address: Any) -> str:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(address if mapped is None else mapped)


def _read_port(text: bytes) -> int:
    if not _port.fullmatch(text) or int(text) > 65535:
        raise ProxyError("The header has a port that is not one.")
    return int(text)


# --- version 2


def read_binary(data: bytes) -> ProxyHeader:
    """The header in the bytes of version 2 (section 2.2). Raises ProxyError."""
    version, command, family = data[12] >> 4, data[12] & 15, data[13]
    if version != 2:
        raise ProxyError(f"The version of the header is {version}, not 2.")
    if command > 1:
        raise ProxyError(f"The command of the header is {command}, not 0 or 1.")
    if command == 0:
        return ProxyHeader(2, local=True)  # family, addresses and TLVs are ignored
    if family & 15 > 2 or family & 0xF0 > 0x30:
        raise ProxyError(f"The address family of the header is {family:#04x}, which is not known.")
    size = SIZES.get(family & 0xF0, 0)
    if len(data) - FIXED < size:
        raise ProxyError("The addresses of the header are cut off.")
    tlvs = read_tlvs(data[FIXED + size :], data)
    addresses = data[FIXED : FIXED + size]
    if family == STREAM_4:
        return ProxyHeader(2, **_binary_addresses(addresses, 4), **tlvs)
    if family == STREAM_6:
        return ProxyHeader(2, **_binary_addresses(addresses, 16), **tlvs)
    return ProxyHeader(2, **tlvs)  # unspecified, a unix socket or datagrams


def _binary_addresses(data: bytes, size: int) -> dict[str, Any]:
    ports = data[2 * size :]
    return {
        "source": (_plain(ip_address(data[:size])), int.from_bytes(ports[:2], "big")),
        "destination": (
            _plain(ip_address(data[size : 2 * size])),
            int.from_bytes(ports[2:4], "big"),
        ),
    }


def split_tlvs(data: bytes) -> list[tuple[int, bytes]]:
    """Types and values (section 2.2.1). Raises ProxyError when one is cut off."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(data):
        end = at + 3 + int.from_bytes(data[at + 1 : at + 3], "big")
        if at + 3 > len(data) or end > len(data):
            raise ProxyError("A TLV of the header is cut off.")
        if len(found) == MOST_TLVS:
            raise ProxyError(f"The header has more than {MOST_TLVS} TLVs.")
        found.append((data[at], data[at + 3 : end]))
        at = end
    return found


def read_tlvs(data: bytes, whole: bytes) -> dict[str, Any]:
    """The fields of ProxyHeader that the TLVs in `data` give; `whole` is the header."""
    tlvs = dict(split_tlvs(data))
    tlvs.pop(NOOP, None)
    if CRC32C in tlvs:
        check_sum(tlvs[CRC32C], whole, data)
    found: dict[str, Any] = {
        "tlvs": tlvs,
        "alpn": _read_text(tlvs.get(ALPN)),
        "authority": _read_text(tlvs.get(AUTHORITY)),
        "unique_id": tlvs.get(UNIQUE_ID),
        "tls": None if SSL not in tlvs else read_tls(tlvs[SSL]),
    }
    aws, azure, gcp = tlvs.get(AWS, b""), tlvs.get(AZURE, b""), tlvs.get(GCP, b"")
    if aws[:1] == bytes([AWS_ENDPOINT]):
        found["aws_vpc_endpoint"] = _read_text(aws[1:])
    if azure[:1] == bytes([AZURE_LINK]) and len(azure) == 5:
        found["azure_link"] = int.from_bytes(azure[1:], "little")
    if len(gcp) == 8:
        found["gcp_psc_connection"] = int.from_bytes(gcp, "big")
    return found


def _read_text(value: bytes | None) -> str | None:
    """A value as text; None if it is not printable ASCII, so that it is safe in logs and URLs."""
    text = None if value is None else value.decode("latin-1")
    return text if text and _text.fullmatch(text) else None


def read_tls(value: bytes) -> ProxyTls:
    """PP2_TYPE_SSL (section 2.2.6): flags, the result of the check, and TLVs."""
    if len(value) < 5:
        raise ProxyError("The TLV about TLS is cut off.")
    flags, result = value[0], value[1:5]
    inner = dict(split_tlvs(value[5:]))
    shown = bool(flags & 0x06)
    return ProxyTls(
        used=bool(flags & 0x01),
        version=_read_text(inner.get(SSL_VERSION)),
        cipher=_read_text(inner.get(SSL_CIPHER)),
        common_name=_read_text(inner.get(SSL_CN)),
        certificate=shown,
        verified=shown and result == bytes(4),
    )


def check_sum(given: bytes, whole: bytes, tlvs: bytes) -> None:
    """Raise ProxyError unless PP2_TYPE_CRC32C fits the header with its value set to zero."""
    at = len(whole) - len(tlvs)
    while whole[at] != CRC32C:
        at += 3 + int.from_bytes(whole[at + 1 : at + 3], "big")
    blank = whole[: at + 3] + bytes(len(given)) + whole[at + 3 + len(given) :]
    if len(given) != 4 or crc32c(blank) != int.from_bytes(given, "big"):
        raise ProxyError("The checksum of the header is wrong.")


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli; RFC 9260, appendix A)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _table() -> list[int]:
    table = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
        table.append(number)
    return table


_TABLE = _table()
