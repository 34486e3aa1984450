"""Reading a head: the result, the agreement of the two readers, and linear time."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from carboy.protocol import Limits, Machine, RemoteProtocolError, RequestHead
from carboy.protocol.head import HeadReader, quick_head, similar_head
from protocol.feeding import accepted, describe, outcome, play, refusal
from protocol.rules import get, line
from vanishing import Vanishing


def read(data: bytes, limits: Limits | None = None) -> RequestHead:
    reader = HeadReader(limits or Limits())
    for text in data.split(b"\n")[:-1]:
        head = reader.add(text + b"\n")
    assert head is not None
    return head


def test_a_target_is_taken_apart_at_the_first_question_mark() -> None:
    head = accepted(get(target=b"/a/%20b?c=d?e"))
    assert (head.target, head.path, head.query) == ("/a/%20b?c=d?e", "/a/%20b", "c=d?e")


def test_an_empty_query_differs_from_a_missing_one() -> None:
    assert accepted(get(target=b"/a?")).target == "/a?"
    assert accepted(get(target=b"/a")).target == "/a"
    assert accepted(get(target=b"/a?")).query == accepted(get(target=b"/a")).query == ""


def test_bytes_above_127_are_latin_1_text() -> None:
    assert accepted(get(target=b"/\xc3\xa4")).path == "/\xc3\xa4"


@pytest.mark.parametrize(
    ("target", "path", "query", "host"),
    [
        (b"http://example.com:81/a?b", "/a", "b", "example.com:81"),
        (b"HTTPS://[::1]/a", "/a", "", "[::1]"),
        (b"http://example.com", "/", "", "example.com"),
        (b"http://example.com?b", "/", "b", "example.com"),
        (b"http://example.com//a", "//a", "", "example.com"),
    ],
)
def test_the_authority_of_an_absolute_target_wins_over_host(
    target: bytes, path: str, query: str, host: str
) -> None:
    head = accepted(get(b"A: b", target=target))
    assert (head.path, head.query, head.host) == (path, query, host)
    assert head.target == target.decode()
    assert head.fields() == [("Host", host), ("A", "b")]


def test_options_of_an_absolute_target_without_a_path_is_about_the_server() -> None:
    assert accepted(line(b"OPTIONS http://example.com HTTP/1.1")).path == "*"


def test_two_slashes_never_become_an_authority() -> None:
    head = accepted(get(target=b"//evil.example/a"))
    assert (head.path, head.host) == ("//evil.example/a", "x")


@pytest.mark.parametrize(("version", "minor"), [(b"1.0", 0), (b"1.1", 1), (b"1.2", 1), (b"1.9", 1)])
def test_later_minor_versions_are_answered_as_1_1(version: bytes, minor: int) -> None:
    assert accepted(line(b"GET / HTTP/" + version)).minor == minor


def test_fields_keep_their_order_case_and_repetitions() -> None:
    head = accepted(get(b"Accept:a", b"X-Twice: b", b"x-twice:\t c \t"))
    assert head.fields() == [("Host", "x"), ("Accept", "a"), ("X-Twice", "b"), ("x-twice", "c")]
    assert head.fields() is head.fields()


def test_only_space_and_tab_are_trimmed_from_a_value() -> None:
    assert accepted(get(b"A: \xa0\x85 \xa0")).fields()[1] == ("A", "\xa0\x85 \xa0")


def test_block_is_the_field_lines_as_they_came() -> None:
    assert accepted(get(b"A:  b ")).block == b"Host: x\r\nA:  b \r\n"
    assert read(get(b"A:  b ")).block == b"Host: x\r\nA:  b \r\n"


def test_a_name_with_an_underscore_is_dropped() -> None:
    head = accepted(get(b"X_Real_IP: evil", b"X-Real-IP: good", b"Content_Length: 5"))
    assert head.fields() == [("Host", "x"), ("X-Real-IP", "good")]
    assert not head.has_body


def test_a_setting_lets_names_with_an_underscore_through() -> None:
    head = accepted(get(b"X_Real_IP: a"), Limits(underscore_fields=True))
    assert head.fields() == [("Host", "x"), ("X_Real_IP", "a")]


def test_dropped_names_count_as_headers() -> None:
    assert refusal(get(*[b"a_b: c"] * 5), Limits(fields_count=5))[0] == 431


@pytest.mark.parametrize(
    ("minor", "values", "keep"),
    [
        (1, [], True),
        (1, [b"keep-alive"], True),
        (1, [b"Keep-Alive"], True),
        (1, [b"close"], False),
        (1, [b"Close"], False),
        (1, [b"foo, CLOSE ,bar"], False),
        (1, [b"close, keep-alive"], False),
        (1, [b"keep-alive", b"close"], False),
        (1, [b"closed"], True),
        (1, [b""], True),
        (1, [b" close "], False),
        (0, [], False),
        (0, [b"keep-alive"], True),
        (0, [b"Keep-Alive"], True),
        (0, [b"a, KEEP-ALIVE"], True),
        (0, [b"keep-alive, close"], False),
        (0, [b"close"], False),
    ],
)
@pytest.mark.parametrize("padding", [0, 200])
def test_the_connection_field_decides_whether_to_keep_it(
    minor: int, values: list[bytes], keep: bool, padding: int
) -> None:
    lines = [b"Connection: " + value for value in values]
    data = get(b"A: " + b"b" * padding, *lines).replace(b"HTTP/1.1", b"HTTP/1.%d" % minor)
    assert accepted(data).keep_alive is keep


def test_an_upgrade_needs_both_its_fields_and_http_1_1() -> None:
    both = get(b"Connection: Upgrade", b"Upgrade: websocket")
    assert accepted(both).upgrade
    assert not accepted(both.replace(b"HTTP/1.1", b"HTTP/1.0")).upgrade
    assert not accepted(get(b"Upgrade: websocket")).upgrade
    assert not accepted(get(b"Connection: upgrade")).upgrade


# -- limits ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [20, 200])
def test_a_request_line_may_be_as_long_as_the_limit(size: int) -> None:
    data = get(target=b"/" + b"a" * (size - 14))
    assert len(data.split(b"\r\n")[0]) == size
    assert accepted(data, Limits(request_line=size))
    assert refusal(data, Limits(request_line=size - 1))[0] == 414


@pytest.mark.parametrize("size", [20, 200])
def test_a_field_line_may_be_as_long_as_the_limit(size: int) -> None:
    data = get(b"A: " + b"b" * (size - 3))
    assert accepted(data, Limits(field_line=size))
    assert refusal(data, Limits(field_line=size - 1))[0] == 431


@pytest.mark.parametrize("count", [2, 50])
def test_there_may_be_as_many_fields_as_the_limit(count: int) -> None:
    data = get(*[b"a:"] * (count - 1))
    assert accepted(data, Limits(fields_count=count))
    assert refusal(data, Limits(fields_count=count - 1))[0] == 431


def test_the_fields_may_be_as_large_as_the_limit() -> None:
    data = get(b"A: b", b"C: d")
    assert accepted(data, Limits(fields_size=len(b"Host: x\r\nA: b\r\nC: d\r\n")))
    assert refusal(data, Limits(fields_size=len(b"Host: x\r\nA: b\r\nC: d\r\n") - 1))[0] == 431


def test_a_line_without_end_is_refused_at_its_limit() -> None:
    connection = Machine(Limits(request_line=100))
    connection.receive(b"GET /" + b"a" * 96)
    with pytest.raises(RemoteProtocolError) as caught:
        connection.receive(b"a")
    assert caught.value.status == 414
    assert connection.buffered == 0


def test_the_first_broken_line_is_the_one_reported() -> None:
    status, message = refusal(b"GET / HTTP/1.1\r\nHost: x\r\nbad\r\nA : b\r\nC: d\n\r\n")
    assert status == 400
    assert "colon" in message


# -- both readers agree ------------------------------------------------------------------------

NAMES = st.sampled_from(
    [
        *("Host", "host", "HOST", "Connection", "Content-Length", "content-length", "Expect"),
        *("Transfer-Encoding", "Upgrade", "Cookie", "Cache-Control", "Content-Type", "Te", "E"),
        *("U", "H", "C", "T", "Accept", "X_Y", "x-y", "User-Agent", "Hosts", "Zoo"),
    ]
)
VALUES = st.sampled_from(
    [
        "x",
        "example.com:80",
        "[::1]",
        "keep-alive",
        "close",
        "5",
        "0",
        "5, 5",
        "chunked",
        "100-continue",
    ]
) | st.text('ab ,;=\t"\x00\x01\x7f\x80\xff\r\n:-0123456789', max_size=12)
SEPARATORS = st.sampled_from([": ", ":", ":\t ", " : ", "", "::"])
ENDS = st.sampled_from(["\r\n"] * 12 + ["\n", "\r", "\r\r\n", "\r\n ", "\x01\n", "\n\r", "\r\x01"])
LINES = st.lists(st.tuples(NAMES, SEPARATORS, VALUES, ENDS).map("".join), max_size=8)
STARTS = st.sampled_from(
    ["GET / HTTP/1.1\r\n"] * 6
    + [
        "POST /a?b HTTP/1.1\r\n",
        "GET /a HTTP/1.0\r\n",
        "OPTIONS * HTTP/1.1\r\n",
        "GET http://y/ HTTP/1.1\r\n",
        "CONNECT / HTTP/1.1\r\n",
        "GET /#a HTTP/1.1\r\n",
        "GET /\xa0 HTTP/1.1\r\n",
        "GET / HTTP/1.2\r\n",
        "get / HTTP/1.1\r\n",
        "GET / HTTP/1.1\n",
        "\r\nGET / HTTP/1.1\r\n",
    ]
)


@given(STARTS, LINES, st.sampled_from(["", "Host: x\r\n"]), st.sampled_from([0, 1, 200]))
@example("GET / HTTP/1.1\r\n", ["A: b\x01\n"], "Host: x\r\n", 200)
@example("GET / HTTP/1.1\r\n", ["A: b\r\x01C: d\r\n"], "Host: x\r\n", 200)
@example("GET / HTTP/1.1\r\n", ["A: b\nC: d\x01\n"], "Host: x\r\n", 200)
def test_the_quick_reader_agrees_with_the_careful_one(
    start: str, lines: list[str], host: str, padding: int
) -> None:
    filler = f"Filler: {'z' * padding}\r\n" if padding else ""
    data = (start + host + filler + "".join(lines) + "\r\n").encode("latin-1")
    limits = Limits(fields_count=7)
    head = quick_head(data, limits)
    if head is None:
        return
    [first, *_] = play([data[i : i + 1] for i in range(len(data))], limits)
    assert describe(head) == first
    assert head.block == read(data, limits).block


PARTS = st.text("GETPOSget /?#%a\xa0\x7f\r\n\t:", max_size=12)


@given(
    STARTS | st.tuples(PARTS, st.just(" HTTP/1.1\r\n")).map("".join),
    st.booleans(),
    st.sampled_from(["", "Connection: close\r\n", "Content-Length: 5\r\n"]),
)
@example("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n", True, "")
@example("DELETE /?a?b HTTP/1.1\r\n", True, "")
@example("GET /?", True, "")
def test_a_head_like_the_last_one_is_read_as_if_it_were_the_first(
    start: str, new: bool, more: str
) -> None:
    last = quick_head(get(), Limits())
    assert last is not None
    data = f"{start}Host: {'x' if new else 'y'}\r\n{more}\r\n".encode("latin-1")
    if not data.endswith(last.tail):
        return
    head = similar_head(data, last)
    known = quick_head(data, Limits())
    assert (head is None) == (known is None)
    if head is not None and known is not None:
        assert describe(head) == describe(known)
        assert (head.block, head.tail) == (known.block, known.tail)


@given(st.lists(st.tuples(STARTS, LINES.map("".join)), min_size=1, max_size=2), st.integers(1, 9))
def test_earlier_requests_on_a_connection_change_nothing(
    heads: list[tuple[str, str]], pick: int
) -> None:
    """The same request twice, and requests that share fields: as if each had come alone."""
    pieces = [f"{start}Host: x\r\n{lines}\r\n".encode("latin-1") for start, lines in heads]
    data = pieces[pick % len(pieces)]
    connection = Machine(Limits())
    for line_of in (get(), pieces[0]):
        try:
            event = connection.receive(line_of)
        except RemoteProtocolError:
            return
        if not isinstance(event, RequestHead) or event.has_body or not event.keep_alive:
            return
        connection.whole_response("200 OK", [], b"", b"")
        if connection.buffered:
            return
    fresh = Machine(Limits())
    assert _first(connection, data) == _first(fresh, data)


def _first(connection: Machine, data: bytes) -> object:
    try:
        event = connection.receive(data)
    except RemoteProtocolError as error:
        return error.status, error.message
    return describe(event) if isinstance(event, RequestHead) else event


USUAL = (
    *(b"Host: x", b"Connection: close", b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    *(b"Expect: 100-continue", b"Upgrade: h2c", b"Content-Type: a/b", b"User-Agent: c"),
    *(b"Cookie: a=b", b"TE: trailers", b"Http: x", b"Exp: x", b"Accept: x"),
)


@pytest.mark.parametrize("filler", [(), (b"Filler: " + b"z" * 200,)], ids=["short", "long"])
def test_the_order_of_headers_does_not_matter(filler: tuple[bytes, ...]) -> None:
    for lines in permutations(USUAL, 3):
        data = b"\r\n".join((b"POST / HTTP/1.1", *filler, *lines, b"", b""))
        head = quick_head(data, Limits())
        framing = [each for each in lines if each in USUAL[3:6]]
        if framing or b"Host: x" not in lines:
            assert head is None, lines
        else:
            assert head is not None, lines
            assert head.fields() == read(data).fields(), lines


def test_the_quick_reader_takes_what_browsers_and_tools_send() -> None:
    for lines in (
        (b"User-Agent: curl/8", b"Accept: */*"),
        (b"Connection: keep-alive", b"Accept: " + b"a" * 300, b"Cookie: a=b; c=d"),
        (b"Content-Length: 5", b"Content-Type: text/plain"),
        (b"Connection: close",),
    ):
        assert quick_head(get(*lines), Limits()) is not None
        assert quick_head(get(*lines).replace(b"HTTP/1.1", b"HTTP/1.0"), Limits()) is not None


def test_many_hosts_do_not_fill_the_memory() -> None:
    from carboy.protocol import head as module

    for number in range(3 * module._HOSTS_SIZE):
        quick_head(get().replace(b"Host: x", b"Host: h%d" % number), Limits())
    assert len(module._hosts) <= module._HOSTS_SIZE


def test_many_paths_do_not_fill_the_memory() -> None:
    from carboy.protocol import head as module

    last = quick_head(get(), Limits())
    assert last is not None
    for number in range(3 * module._STARTS_SIZE):
        head = similar_head(get(target=b"/%d" % number), last)
        assert head is not None
        assert (head.method, head.target, head.query) == ("GET", f"/{number}", "")
    assert len(module._starts) <= module._STARTS_SIZE


@pytest.mark.parametrize("name", ["_hosts", "_starts"])
def test_another_engine_may_empty_the_tables_at_any_moment(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from carboy.protocol import head as module

    monkeypatch.setattr(module, name, Vanishing())
    for _ in range(3):
        first = quick_head(get(target=b"/a"), Limits())
        assert first is not None
        assert first.host == "x"
        again = similar_head(get(target=b"/b"), first)
        assert again is not None
        assert (again.path, again.host) == ("/b", "x")


def test_a_request_that_repeats_the_one_before_has_its_head() -> None:
    data = get(target=b"/again")
    last = quick_head(data, Limits())
    assert last is not None
    second = similar_head(data, last)
    assert second is not None
    assert similar_head(data, second) is second
    # A gateway may have changed the target: then the next head is a new one.
    second.target = second.path = "/changed"
    third = similar_head(data, second)
    assert third is not None
    assert (third.method, third.target, third.path, third.query) == ("GET", "/again", "/again", "")


def test_a_path_that_may_hold_a_secret_is_not_remembered() -> None:
    from carboy.protocol import head as module

    last = quick_head(get(), Limits())
    assert last is not None
    for target in (b"/reset/" + b"s3cret" * 4, b"/" + b"s3cret" * 4 + b"/x", b"/a?token=s3cret"):
        head = similar_head(get(target=target), last)
        assert head is not None
        assert head.target == target.decode()
    assert "s3cret" not in repr((module._starts, module._hosts))


@pytest.mark.parametrize(
    "data",
    [
        get(*[b"a:" + b" " * 8000] * 8),
        get(b"a:" + b"\t " * 4000 + b"\x00"),
        get(target=b"/" + b"?" * 8000),
        b"GET / HTTP/1.1\r\nHost: " + b"a%" * 4000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: " + b"1:" * 4000 + b"\r\n\r\n",
        b"GET " + b"http://" * 1100 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"G" * 8000 + b" / HTTP/1.1\r\nHost: x\r\n\r\n",
        get(*[b"Connection: " + b"," * 8000] * 7),
    ],
    ids=range(8),
)
def test_hostile_heads_have_the_same_outcome_in_pieces(data: bytes) -> None:
    whole = play([data], Limits())
    assert play([data[i : i + 997] for i in range(0, len(data), 997)], Limits()) == whole
    assert outcome(data[:500]) == []  # the beginning of such a head decides nothing


@pytest.mark.parametrize("port", [1, 80, 8000, 9999, 10000, 57687, 60999, 65499])
def test_a_host_with_any_usual_port_is_read_quickly(port: int) -> None:
    head = quick_head(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port, Limits())
    assert head is not None
    assert head.host == f"127.0.0.1:{port}"


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"X-A: 1", b"x-a:2", b"Cookie:  a=b \t", b"X-Empty:", b"X-L: \xe9"],
    ],
    ids=["none", "several"],
)
def test_fields_in_bytes_are_the_same_as_in_text(lines: list[bytes], kept: bool) -> None:
    machine = Machine(Limits())
    head = machine.receive(get(*lines))
    assert isinstance(head, RequestHead)
    if kept:
        head.fields()
    raw = head.raw_fields()
    assert [(name.decode(), value.decode("latin-1")) for name, value in raw] == head.fields()
