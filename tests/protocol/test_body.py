"""Chunked bodies: their octets, their trailers, their limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.protocol import Limits
from protocol.feeding import body, outcome, play, refusal
from protocol.rules import chunked, get, trailer


def test_trailers_are_kept_apart_from_headers() -> None:
    result = outcome(chunked(b"5\r\nhello\r\n0\r\nA: b\r\nc:  d \r\n\r\n"))
    [head] = [step for step in result if step[0] == "head"]
    assert [name for name, _ in head[8]] == ["Host", "Transfer-Encoding"]
    assert ("end", (("A", "b"), ("c", "d"))) not in result  # names are lower-cased
    assert ("end", (("a", "b"), ("c", "d"))) in result


def test_trailers_do_not_outlive_their_request() -> None:
    result = outcome(chunked(b"0\r\nA: b\r\n\r\n") + chunked(b"0\r\n\r\n"))
    assert [step for step in result if step[0] == "end"] == [("end", (("a", "b"),)), ("end", ())]


def test_a_request_follows_a_chunked_one() -> None:
    result = outcome(chunked(b"5\r\nhello\r\n0\r\n\r\n") + get(target=b"/2"))
    assert [step[2] for step in result if step[0] == "head"] == ["/", "/2"]


def test_extensions_are_limited_in_proportion_to_the_data() -> None:
    limits = Limits(chunk_overhead=1000)
    short = b"1;a=" + b"b" * 100 + b"\r\nx\r\n"
    assert refusal(chunked(short * 20 + b"0\r\n\r\n"), limits)[0] == 400
    long = b"64;a=" + b"b" * 100 + b"\r\n" + b"x" * 100 + b"\r\n"
    assert body(play([chunked(long * 20 + b"0\r\n\r\n")], limits)) == b"x" * 2000


def test_chunks_of_one_octet_are_no_abuse() -> None:
    octets = chunked(b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n")
    assert body(play([octets], Limits())) == b"x" * 20_000


@pytest.mark.parametrize("size", [5, 100])
def test_a_chunk_line_may_be_as_long_as_the_limit(size: int) -> None:
    octets = chunked(b"5;" + b"a" * (size - 2) + b"\r\nhello\r\n0\r\n\r\n")
    assert body(outcome(octets, Limits(chunk_line=size))) == b"hello"
    assert refusal(octets, Limits(chunk_line=size - 1))[0] == 400


def test_trailers_may_be_as_large_as_the_limit() -> None:
    octets = chunked(b"0\r\nA: b\r\nC: d\r\n\r\n")
    assert outcome(octets, Limits(trailers_size=12))[-1][0] == "answer"
    assert refusal(octets, Limits(trailers_size=11))[0] == 400


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=10), st.data())
def test_chunks_decode_to_what_was_encoded(pieces: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(b"%X\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    octets = chunked(stream) + get(target=b"/next")
    cut = data.draw(st.integers(0, len(octets)))
    result = play([octets[:cut], octets[cut:]], Limits())
    assert body(result) == b"".join(pieces)
    assert [step[2] for step in result if step[0] == "head"] == ["/", "/next"]


@given(st.binary(max_size=60))
def test_arbitrary_chunk_streams_do_not_depend_on_pieces(stream: bytes) -> None:
    octets = chunked(stream)
    start = len(octets) - len(stream)
    whole = play([octets], Limits(body=1000))
    single = [octets[:start], *(octets[i : i + 1] for i in range(start, len(octets)))]
    assert play(single, Limits(body=1000)) == whole


@pytest.mark.parametrize(
    "name",
    [
        *("Authorization", "Proxy-Authorization", "WWW-Authenticate", "Cookie", "Set-Cookie"),
        *("Content-Type", "Content-Encoding", "Content-Range", "Trailer", "Connection", "Upgrade"),
        *("Cache-Control", "Expect", "Max-Forwards", "Pragma", "Range", "TE", "If-Match"),
        *("If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"),
        *("Age", "Expires", "Date", "Location", "Retry-After", "Vary", "Warning"),
        *("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"),
    ],
)
def test_a_trailer_that_comes_too_late_is_dropped(name: str) -> None:
    octets = trailer(f"A: b\r\n{name}: x\r\n{name.lower()}: y\r\nC: d\r\n".encode())
    result = outcome(octets)
    assert ("end", (("a", "b"), ("c", "d"))) in result
    assert result[-1][0] == "answer"
