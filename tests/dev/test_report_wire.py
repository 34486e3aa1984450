"""The appendix of a report: all bytes of a request and of a response."""

from __future__ import annotations

import re

import pytest

from carboy.dev.report import wire
from carboy.dev.report.document import Heading, Listing, Paragraph, plain
from recordings import SERVED, recording

ESCAPES = {"\\r": "\r", "\\n": "\n", "\\t": "\t", "\\\\": "\\"}
HEAD = b"HTTP/1.1 200 OK\r\nX-Path: C:\\x \xe9\r\n\r\n"


def shown(body: bytes, more: int = 0) -> tuple[list[str], list[str]]:
    """The texts of the listings of a response, and of the paragraphs after its heading."""
    made = recording(*SERVED)
    made.sent = "GET / HTTP/1.1\r\n\r\n"
    made.received = (HEAD + body).decode("latin-1")
    made.received_size = len(made.received) + more
    blocks = wire.blocks(made)
    response = blocks[[type(each) for each in blocks].index(Heading, 3) :]
    listings = [each.text for each in response if isinstance(each, Listing)]
    return listings, [plain(each.text) for each in response if isinstance(each, Paragraph)]


def bytes_of(listing: str) -> bytes:
    """The bytes of a listing of text, whose places are checked."""
    found = b""
    first: int | None = None
    for line in listing.splitlines():
        number, _, text = line.lstrip().partition("  ")
        place = int(number.replace(",", ""))
        first = place if first is None else first
        assert place == first + len(found)
        found += re.sub(r"\\.", lambda each: ESCAPES[each[0]], text).encode()
    return found


@pytest.mark.parametrize(
    "body",
    [b"hello\r\n\tthere", "é漢".encode() * 100, b"x" * 1000 + b"\r\n", b"a\\r\n", b""],
    ids=["lines", "utf-8", "one long line", "backslash", "empty"],
)
def test_text_is_complete_with_its_places(body: bytes) -> None:
    listings, paragraphs = shown(body)
    assert b"".join(bytes_of(each) for each in listings[1:]) == body
    assert listings[0].splitlines() == [
        "       0  HTTP/1.1 200 OK\\r\\n",
        "      17  X-Path: C:\\\\x \\xe9\\r\\n",
        "      33  \\r\\n",
    ]
    assert paragraphs == []


def test_a_binary_body_is_a_hex_dump() -> None:
    listings, paragraphs = shown(bytes(range(256)))
    rows = [
        re.fullmatch(r"([0-9a-f]{8})  ((?:[0-9a-f]{2} ?)+) +.+", row)
        for row in listings[1].splitlines()
    ]
    found = [row for row in rows if row]
    assert len(found) == len(rows) == 16
    assert [int(row[1], 16) for row in found] == list(range(35, 35 + 256, 16))
    assert b"".join(bytes.fromhex(row[2]) for row in found) == bytes(range(256))
    assert paragraphs == []


def test_bytes_that_are_left_out_are_counted() -> None:
    assert shown("é".encode() + b"\xc3", more=9)[1] == [
        "The first 38 bytes are shown; 9 more bytes followed."
    ]
    binary, paragraphs = shown(b"\0" * 20_000, more=7)
    assert binary[1].count("\n") == 1023
    assert paragraphs == ["The first 16,419 bytes are shown; 3,623 more bytes followed."]
