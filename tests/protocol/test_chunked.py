"""Chunked bodies: their content, their trailers, their limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls import number_of_calls
from carboy.protocol import Data, Limits, Machine
from carboy.protocol.errors import RemoteProtocolError
from protocol.feeding import body, outcome, play, refusal
from protocol.rules import chunked, get, trailer


def test_trailers_never_become_headers() -> None:
    result = outcome(chunked(b"5\r\nhello\r\n0\r\nA: b\r\nc:  d \r\n\r\n"))
    [head] = [step for step in result if step[0] == "head"]
    assert [name for name, _ in head[7]] == ["Host", "Transfer-Encoding"]
    assert ("end",) in result


def test_a_request_follows_a_chunked_one() -> None:
    result = outcome(chunked(b"5\r\nhello\r\n0\r\n\r\n") + get(target=b"/2"))
    assert [step[2] for step in result if step[0] == "head"] == ["/", "/2"]


def test_extensions_are_limited_in_proportion_to_the_data() -> None:
    limits = Limits(chunk_overhead=1000)
    short = b"1;a=" + b"b" * 100 + b"\r\nx\r\n"
    assert refusal(chunked(short * 20 + b"0\r\n\r\n"), limits)[0] == 400
    long = b"64;a=" + b"b" * 100 + b"\r\n" + b"x" * 100 + b"\r\n"
    assert body(play([chunked(long * 20 + b"0\r\n\r\n")], limits)) == b"x" * 2000


def test_chunks_of_one_byte_are_accepted() -> None:
    data = chunked(b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n")
    assert body(play([data], Limits())) == b"x" * 20_000


@pytest.mark.parametrize("size", [5, 100])
def test_a_chunk_line_may_be_as_long_as_the_limit(size: int) -> None:
    data = chunked(b"5;" + b"a" * (size - 2) + b"\r\nhello\r\n0\r\n\r\n")
    assert body(outcome(data, Limits(chunk_line=size))) == b"hello"
    assert refusal(data, Limits(chunk_line=size - 1))[0] == 400


def test_trailers_may_be_as_large_as_the_limit() -> None:
    data = chunked(b"0\r\nA: b\r\nC: d\r\n\r\n")
    assert outcome(data, Limits(trailers_size=12))[-1][0] == "answer"
    assert refusal(data, Limits(trailers_size=11))[0] == 400


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=10), st.data())
def test_chunks_decode_to_what_was_encoded(pieces: list[bytes], drawn: st.DataObject) -> None:
    stream = b"".join(b"%X\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    data = chunked(stream) + get(target=b"/next")
    cut = drawn.draw(st.integers(0, len(data)))
    result = play([data[:cut], data[cut:]], Limits())
    assert body(result) == b"".join(pieces)
    assert [step[2] for step in result if step[0] == "head"] == ["/", "/next"]


@given(st.binary(max_size=60))
def test_arbitrary_chunk_streams_do_not_depend_on_pieces(stream: bytes) -> None:
    data = chunked(stream)
    start = len(data) - len(stream)
    whole = play([data], Limits(body=1000))
    single = [data[:start], *(data[i : i + 1] for i in range(start, len(data)))]
    assert play(single, Limits(body=1000)) == whole


# Lines and data that are nearly right, so that the quick way and the careful one meet.
LINES = [b"1", b"01", b"0001", b"3", b"a", b"A", b"1;a=b", b"1;", b"0", b"00", b"1 ", b"-1", b"+1"]
LINES += [b"", b"1000", b"fffffffff", b"00000000001", b"1;a=" + b"b" * 60, b"1\r", b"0x1", b"_1"]
ENDS = [b"\r\n"] * 8 + [b"\n", b"\r", b"\r\r\n", b"", b"x\r\n"]
pieces_of_streams = st.tuples(
    st.sampled_from([*LINES, *[b"1", b"3", b"a"] * 8]),
    st.sampled_from(ENDS),
    st.sampled_from([b"x", b"xyz", b"0123456789", b"", b"\r\n", b"\n"]),
    st.sampled_from(ENDS),
).map(b"".join)
LIMITS = [Limits(), Limits(body=5), Limits(body=0), Limits(chunk_overhead=20), Limits(chunk_line=4)]


@given(
    st.lists(pieces_of_streams, max_size=12),
    st.sampled_from([b"", b"0\r\n\r\n", b"0\r\nA: b\r\n\r\n"]),
    st.sampled_from(LIMITS),
    st.integers(1, 9),
)
def test_chunks_taken_together_are_those_taken_one_by_one(
    pieces: list[bytes], last: bytes, limits: Limits, size: int
) -> None:
    data = chunked(b"".join(pieces) + last) + get(target=b"/next")
    whole = play([data], limits)
    single = [data[i : i + 1] for i in range(len(data))]
    assert play(single, limits) == whole
    groups = [data[i : i + size] for i in range(0, len(data), size)]
    assert play(groups, limits) == whole


@pytest.mark.parametrize(("line", "most"), [(b"1", 2048), (b"01", 64), (b"2;a", 2)])
def test_one_step_takes_a_limited_number_of_chunks(line: bytes, most: int) -> None:
    connection = Machine(Limits(chunk_overhead=100_000))
    connection.receive(chunked(b""))
    size = int(line[:2].rstrip(b";"))
    event = connection.receive((line + b"\r\n" + b"x" * size + b"\r\n") * 10_000)
    sizes = []
    while isinstance(event, Data):
        sizes.append(len(event.data))
        event = connection.next_event()
    assert sum(sizes) == 10_000 * size
    assert max(sizes) <= most


def calls_for(*chunks: bytes) -> int:
    """The calls for a body in these chunks, which has come in one piece."""
    connection = Machine(Limits())
    connection.receive(chunked(b""))
    data = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))

    def read() -> None:
        event = connection.receive(data)
        while isinstance(event, Data):
            event = connection.next_event()

    return number_of_calls(read)


def test_chunks_of_one_byte_cost_at_most_ten_times_a_body_in_one_chunk() -> None:
    assert calls_for(*[b"x"] * 4096) <= 10 * calls_for(b"x" * 4096)


@pytest.mark.parametrize(
    "broken", [b"1\r\nx\n\n", b"1\r\nxx\r\n", b"1\n\nx\r\n", b"1 \nx\r\n", b"x\r\nx\r\n"]
)
def test_a_broken_chunk_in_a_run_of_single_bytes_is_refused(broken: bytes) -> None:
    connection = Machine(Limits())
    connection.receive(chunked(b""))
    event = connection.receive(b"1\r\na\r\n" * 5 + broken + b"1\r\nb\r\n0\r\n\r\n")
    content = b""
    with pytest.raises(RemoteProtocolError):  # noqa: PT012
        while isinstance(event, Data):
            content += event.data
            event = connection.next_event()
    assert content[:5] == b"aaaaa"


def test_a_run_of_single_bytes_ends_at_the_limit() -> None:
    connection = Machine(Limits(body=5))
    connection.receive(chunked(b""))
    event = connection.receive(b"1\r\na\r\n" * 6 + b"0\r\n\r\n")
    assert isinstance(event, Data)
    assert event.data == b"aaaaa"
    with pytest.raises(RemoteProtocolError, match="5 bytes"):
        connection.next_event()


@pytest.mark.parametrize("line", [b"1", b"01", b"1;a=b"])
def test_the_work_for_chunks_is_linear(line: bytes) -> None:
    def steps(count: int) -> int:
        connection = Machine(Limits())
        connection.receive(chunked(b""))
        data = (line + b"\r\nx\r\n") * count

        def read() -> None:
            event = connection.receive(data)
            while isinstance(event, Data):
                event = connection.next_event()

        return number_of_calls(read)

    assert steps(2000) < 2.1 * steps(1000)


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
def test_trailers_are_discarded(name: str) -> None:
    data = trailer(f"A: b\r\n{name}: x\r\n{name.lower()}: y\r\nC: d\r\n".encode())
    result = outcome(data)
    assert ("end",) in result
    assert result[-1][0] == "answer"
