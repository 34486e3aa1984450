"""Forms in pieces of all sizes, compared with Werkzeug, and their limits."""

from __future__ import annotations

import io
from typing import Any

import pytest
import werkzeug.formparser
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import create_environ, encode_multipart

from black_box import outcome, plain
from carboy.http.exceptions import ClientDisconnected, RequestEntityTooLarge
from carboy.http.forms.parser import (
    MAX_IN_MEMORY,
    FormDataParser,
    default_stream_factory,
    parse_form_data,
)
from carboy.http.request.request import Request
from carboy.http.wsgi import LimitedStream
from exchanges import raw_request, received

FIELD = b'Content-Disposition: form-data; name="a"'
FILE = FIELD + b'; filename="x.txt"'


def body(*parts: tuple[bytes, bytes], end: bytes = b"--XX--\r\n") -> bytes:
    return b"".join(b"--XX\r\n%s\r\n\r\n%s\r\n" % part for part in parts) + end


def disposition(options: bytes) -> bytes:
    return b"Content-Disposition: form-data; " + options


class Pieces(io.RawIOBase):
    """A stream that returns at most `size` bytes at a time."""

    def __init__(self, content: bytes, size: int) -> None:
        self._stream = io.BytesIO(content)
        self._size = size

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(self._size if size < 0 else min(size, self._size))


def parsed(parser: type[Any], stream: Any, content: bytes, **options: Any) -> Any:
    """Fields and files as plain values, or the name of the exception."""
    try:
        rest, fields, files = parser(**options).parse(
            stream, "multipart/form-data", len(content), {"boundary": "XX"}
        )
    except Exception as error:
        return type(error).__name__
    found = [
        (name, file.filename, file.content_type, file.read(), sorted(file.headers), file.name)
        for name, file in files.items(multi=True)
    ]
    for _, file in files.items(multi=True):
        file.close()
    return list(fields.items(multi=True)), found, rest.read()


BODIES = {
    "one": body((FIELD, b"v")),
    "two": body((FIELD, b"v"), (FIELD, b"w")),
    "utf-8": body((disposition('name="ü"'.encode()), "ü".encode())),
    "charset": body((FIELD + b"\r\nContent-Type: text/plain; charset=iso-8859-1", b"\xfc")),
    "other charset": body((FIELD + b"\r\nContent-Type: text/plain; charset=utf-16", b"\xfc")),
    "file": body((FILE + b"\r\nContent-Type: text/plain", b"data")),
    "file chosen": body((FIELD + b'; filename=""', b"")),
    "no name": body((b"Content-Disposition: form-data", b"v")),
    "no disposition": body((b"Content-Type: a/b", b"v")),
    "preamble": b"hello\r\n" + body((FIELD, b"v")),
    "empty line first": b"\r\n" + body((FIELD, b"v")),
    "epilogue": body((FIELD, b"v")) + b"bye",
    "no end": body((FIELD, b"v"), end=b""),
    "half an end": body((FIELD, b"v"), end=b"--XX"),
    "cut": body((FIELD, b"v"))[:-12],
    "nothing": b"",
    "only the end": b"--XX--",
    "line ends": body((FIELD, b"a\r\nb\r\n")),
    "nearly a boundary": body((FIELD, b"a\r\n--X\r\n--XY\r\r\n-")),
    "extended name": body((disposition(b"name=f; filename*=UTF-8''%C3%BC.txt"), b"v")),
    "quotes": body((disposition(b'name=f; filename="a%22b\\"c.txt"'), b"v")),
    "windows path": body((disposition(b'name=f; filename="C:\\dir\\x.txt"'), b"v")),
    "way up": body((disposition(b'name=f; filename="../../x.txt"'), b"v")),
    "lower case": body((FIELD.lower(), b"v")),
    "folded": body((b'Content-Disposition: form-data;\r\n name="a"', b"v")),
    "length": body((FILE + b"\r\nContent-Length: 4", b"data")),
    "own field": body((FIELD + b"\r\nX-A: b", b"v")),
    "many": body((FIELD, b"1"), (FILE, b"3"), (FIELD, b"2")),
    "padding": b"--XX  \t\r\n" + FIELD + b"\r\n\r\nv\r\n--XX-- \t \r\n",
    "padding at the end": body((FIELD, b"v"), end=b"--XX--  "),
    "begins like a boundary": body((FIELD, b"a\r\n--XXfoo\r\n--XX-foo\r\n--XX  foo\r\nb")),
    "begins like a boundary at once": body((FIELD, b"--XXfoo\r\n"), (FILE, b"--XX-")),
    "preamble like a boundary": b"--XXfoo\r\n\r\n" + body((FIELD, b"v")),
    "ends like a boundary": body((FIELD, b"v\r\n--X"), (FILE, b"v\r\n-"), (FILE, b"v\r")),
    "the end and more": body((FIELD, b"a\r\n--XX--foo\r\nb")),
    "NUL in a name": body((disposition(b'name="a\0b"'), b"v")),
    "NUL in a file name": body((disposition(b'name="a"; filename="x\0y"'), b"v")),
    "NUL in a header": body((FIELD + b"\r\nX-A: \0", b"v")),
    "control characters in a name": body((disposition(b'name="a\x01\x1b\x7fb"'), b"v")),
    "any token": body((FIELD + b"\r\nX.Y!#$%&'*+^`|~_: z", b"v")),
    "empty value, short": b"--XX\r\n" + FIELD + b"\r\n\r\n--XX\r\n" + FILE + b"\r\n\r\n--XX--",
    "boundary with LF": body((FIELD, b"a\r\n--XX\nfoo\r\nb")),
    "boundary with CR": body((FIELD, b"a\r\n--XX \rfoo\r\nb")),
    "form-data in capitals": body((b'Content-Disposition: FORM-DATA; name="a"', b"v")),
    "length with zeros": body((FIELD + b"\r\nContent-Length: 001", b"v")),
    "the end first": b"--XX--\r\n" + body((FIELD, b"v")),
    "file in lower case": body((FILE.lower() + b"\r\ncontent-type: a/b", b"v")),
}


@pytest.mark.parametrize("content", BODIES.values(), ids=BODIES)
def test_a_multipart_body_is_parsed_as_in_werkzeug(content: bytes) -> None:
    theirs = parsed(werkzeug.formparser.FormDataParser, io.BytesIO(content), content)
    assert parsed(FormDataParser, io.BytesIO(content), content) == theirs


@pytest.mark.parametrize("content", BODIES.values(), ids=BODIES)
def test_the_result_does_not_depend_on_the_pieces_of_the_body(content: bytes) -> None:
    whole = parsed(FormDataParser, io.BytesIO(content), content)
    for size in (1, 2, 3, 7, 40):
        # The rest of the stream after a malformed part is not compared.
        assert parsed(FormDataParser, Pieces(content, size), content)[:2] == whole[:2], size


def everywhere(content: bytes) -> set[Any]:
    """All results of the body: split at each position, and byte by byte."""
    cuts = [[content[:at], content[at:]] for at in range(1, len(content))]
    cuts += [[content], [content[at : at + 1] for at in range(len(content))]]
    found = set()
    for cut in cuts:
        stream = io.BytesIO()
        pieces = iter([piece for piece in cut if piece])
        stream.read = lambda size=-1, pieces=pieces: next(pieces, b"")  # type: ignore[method-assign]
        # The rest of the stream after a malformed part is not compared.
        seen = parsed(FormDataParser, stream, content, silent=False)
        found.add(repr(seen if isinstance(seen, str) else seen[:2]))
    return found


@pytest.mark.parametrize("content", BODIES.values(), ids=BODIES)
def test_a_body_has_one_result_wherever_it_is_split(content: bytes) -> None:
    assert len(everywhere(content)) == 1


MALFORMED = {
    "a space before the colon": body((b'Content-Disposition : form-data; name="a"', b"v")),
    "a name with a space": body((FIELD + b"\r\nX Y: z", b"v")),
    "a name with a parenthesis": body((FIELD + b"\r\nX(Y: z", b"v")),
    "a name beyond ASCII": body((FIELD + b"\r\nX\xc3\xa4: z", b"v")),
    "a name with a NUL": body((FIELD + b"\r\nX\0: z", b"v")),
    "an empty name": body((FIELD + b"\r\n: z", b"v")),
    "no colon": body((FIELD + b"\r\nfoo", b"v")),
    "a bare LF": body((FIELD + b"\nX-A: z", b"v")),
    "a bare CR": body((FIELD + b"\rX-A: z", b"v")),
    "white space first": body((b" " + FIELD, b"v")),
    "no headers": b"--XX\r\n\r\nv\r\n--XX--",
    "a boundary that does not begin its line": b"x" + body((FIELD, b"v")),
    "a vertical tab as padding": body((FIELD, b"v")).replace(b"--XX\r", b"--XX\x0b\r"),
    "too much padding": body((FIELD, b"v")).replace(b"--XX\r", b"--XX" + b" " * 2000 + b"\r"),
    "a LF behind the first boundary": body((FIELD, b"v")).replace(b"--XX\r\n", b"--XX\n"),
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_part_is_refused_wherever_it_is_split(content: bytes) -> None:
    assert everywhere(content) == {"'ValueError'"}


FRAGMENTS = [
    *(
        b"--XX",
        b"\r\n--XX\r\n",
        b"\r\n--XX--",
        b"\r\n",
        b"\r",
        b"\n",
        b"-",
        b" ",
        b"\t",
        b"\0",
        b":",
    ),
    *(
        FIELD,
        FILE,
        FIELD + b"\r\n\r\n",
        b"\r\nX-A: b",
        b"\r\nContent-Length: 3",
        b"v",
        b"\xff",
        b"--X",
    ),
]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=14), st.booleans(), st.booleans())
def test_any_body_has_one_result_wherever_it_is_split(
    fragments: list[bytes], begun: bool, ended: bool
) -> None:
    start = b"--XX\r\n" + FIELD if begun else b""
    content = start + b"".join(fragments) + (b"\r\n--XX--" if ended else b"")
    assert len(everywhere(content)) == 1


@given(st.binary(max_size=12), st.integers(0, 200), st.sampled_from(list(BODIES)))
def test_a_body_with_inserted_bytes_has_one_result_wherever_it_is_split(
    inserted: bytes, at: int, name: str
) -> None:
    content = BODIES[name][:at] + inserted + BODIES[name][at:]
    assert len(everywhere(content)) == 1


values = st.binary(max_size=40) | st.sampled_from([b"\r\n--XX", b"\r\n--XX--", b"--X", b"\r", b""])


@given(
    st.lists(st.tuples(st.booleans(), values), max_size=5),
    st.integers(1, 60),
)
def test_parts_are_parsed_for_all_sizes_of_pieces(
    parts: list[tuple[bool, bytes]], size: int
) -> None:
    # The sender chooses a boundary that does not occur in the content.
    parts = [(is_file, value.replace(b"--XX", b"")) for is_file, value in parts]
    content = body(*((FILE if is_file else FIELD, value) for is_file, value in parts))
    fields, files, rest = parsed(FormDataParser, Pieces(content, size), content)
    decoded = [value.decode(errors="replace") for is_file, value in parts if not is_file]
    assert [value for _, value in fields] == decoded
    assert [file[3] for file in files] == [value for is_file, value in parts if is_file]
    assert rest == b""


@given(st.binary(max_size=200), st.integers(1, 50))
def test_bytes_that_are_not_a_form_are_not_an_error(content: bytes, size: int) -> None:
    content = content.replace(b"\x00", b"--XX\r\n")
    whole = parsed(FormDataParser, io.BytesIO(content), content)
    assert parsed(FormDataParser, Pieces(content, size), content)[:2] == whole[:2]


@given(
    st.dictionaries(st.text("ab ü\"'%;", min_size=1), st.text(min_size=1, max_size=20), max_size=4)
)
def test_requests_of_werkzeugs_test_client_are_parsed_as_in_werkzeug(
    data: dict[str, str],
) -> None:
    # Without empty values: Werkzeug omits the line end between an empty value and the boundary.
    boundary, content = encode_multipart(data)
    found = []
    for parser in (FormDataParser(), werkzeug.formparser.FormDataParser()):
        _, fields, _ = parser.parse(
            io.BytesIO(content), "multipart/form-data", len(content), {"boundary": boundary}
        )
        found.append(list(fields.items(multi=True)))
    assert found[0] == found[1]


@pytest.mark.parametrize("name", ["cut", "no end", "no disposition", "nothing"])
def test_a_malformed_body_raises_without_silent(name: str) -> None:
    with pytest.raises(ValueError):
        FormDataParser(silent=False).parse(
            io.BytesIO(BODIES[name]), "multipart/form-data", None, {"boundary": "XX"}
        )


@pytest.mark.parametrize("boundary", ["", "ü"])
def test_a_form_without_a_boundary_is_malformed(boundary: str) -> None:
    content = BODIES["one"]
    for parser in (FormDataParser(), werkzeug.formparser.FormDataParser()):
        stream = io.BytesIO(content)
        found = parser.parse(stream, "multipart/form-data", None, {"boundary": boundary})
        assert (found[0].read(), len(found[1]), len(found[2])) == (content, 0, 0)


def test_a_body_with_bare_line_feeds_is_malformed() -> None:
    # Werkzeug accepts them. A proxy may not, and would then see another form than the server.
    content = BODIES["one"].replace(b"\r\n", b"\n")
    assert parsed(FormDataParser, io.BytesIO(content), content)[0] == []


def test_a_part_that_is_not_form_data_is_malformed_while_werkzeug_reads_it() -> None:
    """RFC 7578, section 4.2: the disposition has to be form-data, with a name."""
    for field in (b'attachment; name="a"', b'file; name="a"'):
        content = body((b"Content-Disposition: " + field, b"v"))
        assert parsed(FormDataParser, io.BytesIO(content), content)[:2] == ([], [])


def test_part_headers_that_are_not_utf8_are_replaced_while_werkzeug_drops_the_form() -> None:
    content = body((disposition(b'name="\xe4"'), b"v"))
    assert parsed(FormDataParser, io.BytesIO(content), content)[0] == [("\ufffd", "v")]
    real = parsed(werkzeug.formparser.FormDataParser, io.BytesIO(content), content)
    assert real[0] == []


def test_many_lines_like_a_boundary_take_linear_time() -> None:
    line = b"\r\n--XX" + b" " * 1000 + b"x"
    content = body((FILE, line * 2000))
    fields, files, _ = parsed(FormDataParser, Pieces(content, 64 * 1024), content)
    assert (fields, files[0][3]) == ([], line * 2000)


def test_a_part_with_a_wrong_length_is_malformed() -> None:
    for length in (b"3", b"x", b"+4", b"4\r\nContent-Length: 4"):
        content = body((FILE + b"\r\nContent-Length: " + length, b"data"))
        assert parsed(FormDataParser, io.BytesIO(content), content)[:2] == ([], [])


# limits


def too_large(content: bytes, **limits: Any) -> bool:
    found = [
        parsed(FormDataParser, stream, content, **limits) == "RequestEntityTooLarge"
        for stream in (io.BytesIO(content), Pieces(content, 1))
    ]
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize("parts", [1, 3, 4, 5])
def test_the_number_of_parts_is_limited(parts: int) -> None:
    content = body(*[(FIELD, b"v")] * parts)
    assert too_large(content, max_form_parts=4) == (parts > 4)
    assert not too_large(content)


def test_the_total_size_of_fields_is_limited_but_not_that_of_files() -> None:
    fields = body((FIELD, b"x" * 300), (FIELD, b"x" * 300))
    assert too_large(fields, max_form_memory_size=600)
    assert not too_large(fields, max_form_memory_size=800)
    assert not too_large(body((FILE, b"x" * 5000)), max_form_memory_size=200)


def test_the_header_lines_of_files_count_as_memory() -> None:
    padding = b"\r\nX-Padding: " + b"y" * 500
    content = body(*[(FILE + padding, b"x")] * 4)
    assert too_large(content, max_form_memory_size=1500)
    assert not too_large(content, max_form_memory_size=4000)


@pytest.mark.parametrize(
    "header", [b"X-Long: " + b"y" * 9000, b"\r\n".join([b"X: y"] * 20)], ids=["long", "many"]
)
def test_the_header_lines_of_a_part_are_limited(header: bytes) -> None:
    assert too_large(body((FIELD + b"\r\n" + header, b"v")))


def test_a_preamble_uses_no_memory_and_an_epilogue_is_skipped() -> None:
    content = b"p" * 5000 + b"\r\n" + body((FIELD, b"v")) + b"e" * 5000
    assert not too_large(content, max_form_memory_size=100)


@pytest.mark.parametrize("mimetype", ["multipart/form-data", "application/x-www-form-urlencoded"])
def test_a_declared_length_above_the_limit_is_refused_before_reading(mimetype: str) -> None:
    stream = io.BytesIO(b"a=1")
    with pytest.raises(RequestEntityTooLarge):
        FormDataParser(max_content_length=2).parse(stream, mimetype, 3, {"boundary": "XX"})
    assert stream.tell() == 0


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    "content", [b"\x80", b"a=\x80", b"\xe9=1&a=1", b"a=%80", b"%e9", b"a=\xc3\xa9", b"a=%zz&=&b"]
)
@pytest.mark.parametrize("silent", [True, False])
def test_bytes_that_are_not_utf8_make_a_form_empty_but_encoded_bytes_are_kept(
    content: bytes, silent: bool
) -> None:
    def parsed(parser: Any) -> str:
        found = parser(silent=silent).parse(io.BytesIO(content), FORM, len(content))
        return plain([list(found[1].items()), found[0].read()])

    assert outcome(lambda: parsed(FormDataParser)) == outcome(
        lambda: parsed(werkzeug.formparser.FormDataParser)
    )


def test_max_form_memory_size_does_not_limit_an_urlencoded_body() -> None:
    environ = create_environ("/", method="POST", data={"a": "x" * 600})
    for parse in (parse_form_data, werkzeug.formparser.parse_form_data):
        environ["wsgi.input"].seek(0)
        assert len(parse(environ, max_form_memory_size=500)[1]["a"]) == 600


def test_the_parser_gets_the_limits_of_the_request() -> None:
    raw = raw_request(
        "/", "POST", [("Content-Type", "multipart/form-data; boundary=XX")], BODIES["two"]
    )
    for name, limit in (
        ("max_form_parts", 1),
        ("max_form_memory_size", 10),
        ("max_content_length", 10),
    ):
        request = Request.from_exchange(received(raw))  # type: ignore[arg-type]
        setattr(request, name, limit)
        with pytest.raises(RequestEntityTooLarge):
            request.form  # noqa: B018
    request = Request.from_exchange(received(raw))  # type: ignore[arg-type]
    assert request.form.getlist("a") == ["v", "w"]


# files


def test_only_a_small_body_is_always_kept_in_memory() -> None:
    assert isinstance(default_stream_factory(MAX_IN_MEMORY, None, None), io.BytesIO)
    for size in (MAX_IN_MEMORY + 1, None):
        with default_stream_factory(size, None, None) as file:
            assert not isinstance(file, io.BytesIO)
            file.write(b"x" * 10)
            file.seek(0)
            assert file.read() == b"x" * 10


class Tracked(io.BytesIO):
    made: list[Tracked] = []

    def __init__(self) -> None:
        super().__init__()
        self.made.append(self)


def tracked(**_: Any) -> Tracked:
    return Tracked()


@pytest.mark.parametrize(
    "content",
    [
        body((FILE, b"1"), (FILE, b"2"), (FIELD, b"x" * 500)),
        body((FILE, b"1"), (FILE, b"2"), end=b""),
    ],
    ids=["limit", "malformed"],
)
def test_the_files_of_a_refused_form_are_closed(content: bytes) -> None:
    Tracked.made.clear()
    parser = FormDataParser(stream_factory=tracked, max_form_memory_size=300)
    try:
        parser.parse(io.BytesIO(content), "multipart/form-data", None, {"boundary": "XX"})
    except RequestEntityTooLarge:
        pass
    assert [file.closed for file in Tracked.made] == [True, True]


def test_the_stream_factory_gets_the_known_values() -> None:
    told: dict[str, Any] = {}

    def factory(**known: Any) -> io.BytesIO:
        told.update(known)
        return io.BytesIO()

    content = body((FILE + b"\r\nContent-Type: text/plain\r\nContent-Length: 4", b"data"))
    FormDataParser(stream_factory=factory).parse(
        io.BytesIO(content), "multipart/form-data", 99, {"boundary": "XX"}
    )
    assert told == {
        "total_content_length": 99,
        "content_type": "text/plain",
        "filename": "x.txt",
        "content_length": 4,
    }


def test_closing_a_request_closes_its_files() -> None:
    raw = raw_request(
        "/", "POST", [("Content-Type", "multipart/form-data; boundary=XX")], BODIES["many"]
    )
    with Request.from_exchange(received(raw)) as request:  # type: ignore[arg-type]
        file = request.files["a"]
        assert file.read() == b"3"
    assert file.stream.closed


def test_closing_a_request_does_not_parse_its_form() -> None:
    exchange = received(raw_request("/", "POST", [], b"bytes"))
    Request.from_exchange(exchange).close()  # type: ignore[arg-type]
    assert exchange.body is not None
    assert exchange.body.read() == b"bytes"


def test_a_disconnect_within_a_form_does_not_give_an_empty_form() -> None:
    content = BODIES["one"]
    stream = LimitedStream(io.BytesIO(content[:-5]), len(content))  # type: ignore[arg-type]
    with pytest.raises(ClientDisconnected):
        FormDataParser().parse(
            stream,  # type: ignore[arg-type]
            "multipart/form-data",
            len(content),
            {"boundary": "XX"},
        )
