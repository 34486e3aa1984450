"""The compiled readers of a head: the same results as their twins, or None."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from _speedups.twins import compiled
from carboy.protocol import Limits, Machine, RemoteProtocolError, RequestHead
from carboy.protocol import head as python
from carboy.protocol.events import ForwardedHead
from carboy.protocol.head import HeadReader
from protocol.feeding import describe
from protocol.rules import get

twin = compiled("head")
twin.prepare(RequestHead, ForwardedHead)

BROWSER = (
    b"GET /path?x=1 HTTP/1.1\r\nHost: localhost:8000\r\nConnection: keep-alive\r\n"
    b"Upgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
    b"Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\nReferer: http://www.example/\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\nCookie: a=b; session=x\r\n\r\n"
)
PIECES = (
    b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"TRACE ", b"get ",
    b"/", b"/a", b"/a%20b", b"?", b"?a=b?c", b"#", b"*", b"http://x/", b" HTTP/1.1\r\n",
    b" HTTP/1.0\r\n", b" HTTP/1.2\r\n", b"  HTTP/1.1\r\n", b"Host: x\r\n", b"HOST:x:80\r\n",
    b"Host: x:65499\r\n", b"Host: x:65500\r\n", b"Host: x:00080\r\n", b"Host: x \r\n",
    b"host:\r\n", b"Host: a_b\r\n", b"Host: [::1]\r\n", b"Host: x:\r\n", b"Connection: close\r\n",
    b"connection: Keep-Alive\r\n", b"Connection: Close\r\n", b"Connection:\tkeep-alive\r\n",
    b"Connection: keep-alive \r\n", b"Connection: Upgrade\r\n", b"Content-Length: 5\r\n",
    b"Content-Length: 05\r\n", b"content-length: " + b"0" * 19 + b"\r\n", b"Content-Length:\r\n",
    b"Content-Length: " + b"9" * 18 + b"\r\n", b"Content-Length: -5\r\n",
    b"Content-Length: 5, 5\r\n", b"Content-Type: a/b\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n", b"Upgrade: websocket\r\n", b"X-Forwarded-For: a\r\n",
    b"A: wforwarded\r\n", b"A: FORWARDED\r\n", b"A: forwarde\r\n", b"A_B: c\r\n", b"A : b\r\n",
    b" A: b\r\n", b": b\r\n", b"A\r\n", b"A: \x00\r\n", b"A: b\n", b"A: b\r", b"A: \x7f\r\n",
    b"A: \t\xff \r\n", b"A:\r\n", b"\r\n", b"\r", b"\n", b"\x00", b"\x80", b"-", b":", b" ",
    b"Content-Typ\xc5: a\r\n", b"Expe\x03t: a\r\n", b"Content\rType: a\r\n",
)  # fmt: skip
HEADS = st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)
ORDINARY = st.tuples(
    st.sampled_from([b"GET ", b"POST ", b"OPTIONS "]),
    st.sampled_from([b"/", b"/a?b", b"/\xe4%20"]),
    st.sampled_from([b" HTTP/1.1\r\n", b" HTTP/1.0\r\n"]),
    st.lists(st.sampled_from(PIECES[21:]), max_size=8).map(b"".join),
    st.just(b"\r\n"),
).map(b"".join)
LIMITS = Limits(fields_count=7)


def carefully(data: bytes) -> RequestHead | None:
    """The head as the line reader takes it; None if it refuses it, or is not at the end."""
    reader = HeadReader(LIMITS)
    lines = data.split(b"\n")
    try:
        for number, line in enumerate(lines[:-1]):
            head = reader.add(line + b"\n")
            if head is not None:
                return head if number == len(lines) - 2 and not lines[-1] else None
    except RemoteProtocolError:
        pass
    return None


def everything(head: RequestHead) -> tuple[Any, ...]:
    return describe(head), head.__class__, head.tail, head.found, head.block, head.raw_fields()


def check(data: bytes) -> None:
    head = twin.quick_head(data, LIMITS)
    other = python.quick_head(data, LIMITS)
    if head is not None:
        if other is None:  # the pattern sees more than one Content-Type in more heads
            other = carefully(data)
            assert other is not None
            assert describe(head) == describe(other)
            assert head.block == other.block
        else:
            assert everything(head) == everything(other)
            assert vars(head).keys() == vars(other).keys() | {"_block", "_fields"}
    elif other is not None:  # it leaves out such numbers only
        assert b"0" * 10 in data


@given(HEADS | ORDINARY)
@example(BROWSER)
@example(b"")
@example(b"GET /")
@example(b"GET / HTTP/1.1")
@example(b"GET / HTTP/1.1\r\nHost: x\r\n\r")
@example(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\r\n")
@example(get(*[b"a: b"] * 7))
@example(get(*[b"a: b"] * 6))
def test_both_read_the_same_head(data: bytes) -> None:
    check(data)


@given(st.data())
def test_a_changed_byte_changes_both_results(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([BROWSER, get(b"A: b"), get(b"Content-Length: 12")]))
    place = data.draw(st.integers(0, len(whole) - 1))
    byte = bytes((data.draw(st.integers(0, 255)),))
    check(whole[:place] + byte + whole[place + 1 :])
    check(whole[:place] + whole[place + 1 :])
    check(whole[:place] + byte + whole[place:])


@pytest.mark.parametrize("data", [BROWSER, get(b"X-Forwarded-For: 1.2.3.4", b"A: b")])
def test_every_beginning_of_a_head_is_left_to_the_other_reader(data: bytes) -> None:
    assert twin.quick_head(data, Limits()) is not None
    for end in range(len(data)):
        assert twin.quick_head(data[:end], Limits()) is None


def test_every_byte_at_every_place_of_a_short_head() -> None:
    whole = b"POST /a?b HTTP/1.1\r\nHost: x:81\r\nContent-Length: 5\r\nA: b\r\n\r\n"
    for place in range(len(whole)):
        for value in b"\0\t\n\r !#%+,-./0:?@AZ[_`az{|~\x7f\x80\xc5\xe9\xff":
            check(whole[:place] + bytes((value,)) + whole[place + 1 :])


STARTS = st.text("GETPOSget /?#%a\xa0\x7f\r\n\t:\0", max_size=14).map(lambda t: t.encode("latin-1"))


@given(
    STARTS | st.sampled_from([b"GET /", b"DELETE /?a?b", b"GET /a?", b"PATCH /\xff", b"PUT //x"])
)
def test_both_read_the_start_before_a_known_tail(start: bytes) -> None:
    last = python.quick_head(get(b"A: b"), LIMITS)
    assert last is not None
    last.found = {"a": 1}
    data = start + last.tail
    head, other = twin.similar_head(data, last), python.similar_head(data, last)
    assert (head is None) == (other is None)
    if head is not None and other is not None:
        assert everything(head) == everything(other)
        assert head.tail is last.tail
        assert head.found is last.found


def test_a_head_that_is_shorter_than_the_tail_is_not_similar() -> None:
    last = python.quick_head(BROWSER, Limits())
    assert last is not None
    assert twin.similar_head(b"GET /", last) is None


@pytest.mark.parametrize("wrong", [None, "text", bytearray(b"GET / HTTP/1.1\r\n\r\n"), 1])
def test_anything_but_bytes_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError):
        twin.quick_head(wrong, LIMITS)


@given(ORDINARY)
def test_a_connection_reads_the_same_with_both(data: bytes) -> None:
    from carboy.protocol import readers

    found = []
    for module in (None, twin):
        readers._choose(module)
        try:
            event = Machine(LIMITS).receive(data)
            found.append(describe(event) if isinstance(event, RequestHead) else event)
        except RemoteProtocolError as error:
            found.append((error.status, error.message))
        finally:
            readers._choose(None)
    assert found[0] == found[1]
