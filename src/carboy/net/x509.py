"""Certificates in DER: names, dates, serial number and fingerprint (RFC 5280, section 4.1).

The module `ssl` shows the fields of a certificate only after it has verified it for a connection,
and the package `cryptography` is optional. Nothing is verified here.
"""

from __future__ import annotations

import hashlib
import ipaddress
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

SEQUENCE, INTEGER, OBJECT, UTC_TIME = 0x30, 0x02, 0x06, 0x17
BMP_STRING, UNIVERSAL_STRING, UTF8_STRING = 0x1E, 0x1C, 0x0C
VERSION, EXTENSIONS = 0xA0, 0xA3  # the context tags [0] and [3]
DNS_NAME, IP_ADDRESS = 0x82, 0x87  # of a GeneralName
COMMON_NAME = "2.5.4.3"
ALTERNATIVE_NAMES = "2.5.29.17"
# Types of attributes of a name, as the module `ssl` writes them.
ATTRIBUTES = {
    COMMON_NAME: "commonName",
    "2.5.4.4": "surname",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "countryName",
    "2.5.4.7": "localityName",
    "2.5.4.8": "stateOrProvinceName",
    "2.5.4.9": "streetAddress",
    "2.5.4.10": "organizationName",
    "2.5.4.11": "organizationalUnitName",
    "2.5.4.12": "title",
    "2.5.4.42": "givenName",
    "0.9.2342.19200300.100.1.1": "userId",
    "0.9.2342.19200300.100.1.25": "domainComponent",
    "1.2.840.113549.1.9.1": "emailAddress",
}
Name = tuple[tuple[tuple[str, str], ...], ...]  # as in SSLSocket.getpeercert()


@dataclass(frozen=True, slots=True)
class Certificate:
    """The fields of one certificate."""

    names: tuple[str, ...]  # host names in lower case and addresses; the common name without any
    subject: Name
    issuer: Name
    serial: int
    begins: datetime
    ends: datetime
    fingerprint: str  # SHA-256 of the certificate, in hexadecimal digits

    def days_left(self, now: datetime) -> int:
        """Whole days until the certificate expires; negative after that."""
        return (self.ends - now).days


def parse_pem(text: str) -> Certificate:
    """The fields of a certificate in PEM format. Raises ValueError."""
    return parse(ssl.PEM_cert_to_DER_cert(text.strip()))


def parse(der: bytes) -> Certificate:
    """The fields of a certificate in DER. Raises ValueError for anything else."""
    try:
        return _parse(der)
    except (IndexError, StopIteration, UnicodeDecodeError, OverflowError):
        raise ValueError("This is not a certificate in DER.") from None


def _parse(der: bytes) -> Certificate:
    outer, _ = _element(der, 0, SEQUENCE)
    body, _ = _element(outer, 0, SEQUENCE)
    fields = list(_elements(body))
    if fields[0][0] == VERSION:
        del fields[0]
    serial, _, issuer, validity, subject = (value for _, value in fields[:5])
    begins, ends = (_time(tag, value) for tag, value in _elements(validity))
    found = _name(subject)
    names = _alternative_names(next((v for tag, v in fields if tag == EXTENSIONS), b""))
    if not names:
        names = tuple(value.lower() for part in found for kind, value in part
                      if kind == "commonName")  # fmt: skip
    return Certificate(
        names, found, _name(issuer), int.from_bytes(serial, signed=True), begins, ends,
        hashlib.sha256(der).hexdigest(),
    )  # fmt: skip


def _alternative_names(extensions: bytes) -> tuple[str, ...]:
    """The names of the extension subjectAltName (RFC 5280, section 4.2.1.6)."""
    for _, wrapped in _elements(extensions):
        for _, extension in _elements(wrapped):
            parts = list(_elements(extension))
            if _object(parts[0][1]) == ALTERNATIVE_NAMES:
                general, _ = _element(parts[-1][1], 0, SEQUENCE)
                return tuple(filter(None, (_general_name(*each) for each in _elements(general))))
    return ()


def _general_name(tag: int, value: bytes) -> str:
    if tag == DNS_NAME:
        return value.decode("ascii", "replace").lower()
    if tag == IP_ADDRESS and len(value) in (4, 16):
        return str(ipaddress.ip_address(value))
    return ""


def _name(data: bytes) -> Name:
    return tuple(
        tuple(_attribute(attribute) for _, attribute in _elements(part))
        for _, part in _elements(data)
    )


def _attribute(data: bytes) -> tuple[str, str]:
    (_, kind), (tag, value) = _elements(data)
    oid = _object(kind)
    coding = {BMP_STRING: "utf-16-be", UNIVERSAL_STRING: "utf-32-be", UTF8_STRING: "utf-8"}
    return ATTRIBUTES.get(oid, oid), value.decode(coding.get(tag, "latin-1"), "replace")


def _time(tag: int, value: bytes) -> datetime:
    """A UTCTime (its years are 1950 to 2049) or a GeneralizedTime (RFC 5280, section 4.1.2.5)."""
    text = value.decode("ascii")
    if tag == UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _object(data: bytes) -> str:
    """An object identifier in its dotted form (X.690, section 8.19)."""
    numbers: list[int] = []
    number = 0
    for byte in data:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, [first, numbers[0] - 40 * first, *numbers[1:]]))


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element, one after the other."""
    at = 0
    while at < len(data):
        tag = data[at]
        value, at = _element(data, at, tag)
        yield tag, value


def _element(data: bytes, at: int, tag: int) -> tuple[bytes, int]:
    """Content of the element at `at`, which must have this tag, and where it ends."""
    if data[at] != tag:
        raise ValueError("This is not a certificate in DER.")
    size = data[at + 1]
    at += 2
    if size & 0x80:
        count = size & 0x7F
        size = int.from_bytes(data[at : at + count])
        at += count
    if at + size > len(data):
        raise ValueError("This certificate is cut off.")
    return data[at : at + size], at + size
