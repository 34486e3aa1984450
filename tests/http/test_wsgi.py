"""LimitedStream and the input of an environ, compared with Werkzeug."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import werkzeug.wsgi
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import create_environ

from carboy.file_wrapper import FileWrapper
from carboy.http import wsgi
from carboy.http.exceptions import ClientDisconnected, RequestEntityTooLarge
from carboy.http.wsgi import LimitedStream

CONTENT = b"ab\ncd\nef"
READS: dict[str, Callable[[Any], Any]] = {
    "read": lambda s: s.read(),
    "read in steps": lambda s: [s.read(3), s.tell(), s.read(3), s.is_exhausted, s.read(3)],
    "readline": lambda s: [s.readline(), s.readline(1), s.tell()],
    "readlines": lambda s: s.readlines(),
    "readlines of a size": lambda s: s.readlines(4),
    "iterate": list,
    "exhaust": lambda s: [s.exhaust(), s.exhaust()],
    "readall": lambda s: s.readall(),
    "asked": lambda s: [s.tell(), s.readable(), s.seekable(), s.is_exhausted],
}


def outcome(read: Callable[[Any], Any], stream: Any) -> Any:
    try:
        return read(stream)
    except Exception as error:
        return type(error).__name__


@pytest.mark.parametrize("read", READS.values(), ids=READS)
@pytest.mark.parametrize("limit", [0, 1, 5, 8, 10])
def test_a_stream_of_known_length_is_read_as_in_werkzeug(
    limit: int, read: Callable[[Any], Any]
) -> None:
    theirs = outcome(read, werkzeug.wsgi.LimitedStream(io.BytesIO(CONTENT), limit))
    assert outcome(read, LimitedStream(io.BytesIO(CONTENT), limit)) == theirs


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_stream_below_its_maximum_is_read_as_in_werkzeug(
    read: Callable[[Any], Any],
) -> None:
    theirs = outcome(read, werkzeug.wsgi.LimitedStream(io.BytesIO(CONTENT), 9, is_max=True))
    assert outcome(read, LimitedStream(io.BytesIO(CONTENT), 9, is_max=True)) == theirs


def test_content_of_exactly_the_maximum_is_accepted_and_more_is_refused() -> None:
    # Werkzeug truncates the content in read(), and refuses the exact size in readline().
    for read in (lambda s: s.read(), b"".join, lambda s: s.exhaust()):
        assert read(LimitedStream(io.BytesIO(CONTENT), 8, is_max=True)) == CONTENT
        with pytest.raises(RequestEntityTooLarge):
            read(LimitedStream(io.BytesIO(CONTENT), 7, is_max=True))


@pytest.mark.parametrize("is_max", [False, True])
def test_reading_zero_bytes_does_not_read_the_stream(is_max: bool) -> None:
    stream = LimitedStream(Failing(), 5, is_max=is_max)  # type: ignore[arg-type]
    assert (stream.read(0), stream.tell()) == (b"", 0)


def test_bytes_after_the_limit_stay_in_the_stream() -> None:
    behind = io.BytesIO(b"bodyGET / HTTP/1.1")
    assert LimitedStream(behind, 4).read() == b"body"
    assert behind.read() == b"GET / HTTP/1.1"


class Failing:
    def read(self, size: int = -1) -> bytes:
        raise OSError("connection reset")


@pytest.mark.parametrize("is_max", [False, True])
def test_an_error_of_the_stream_is_a_disconnected_client(is_max: bool) -> None:
    with pytest.raises(ClientDisconnected) as caught:
        LimitedStream(Failing(), 5, is_max=is_max).read()  # type: ignore[arg-type]
    assert isinstance(caught.value.__cause__, OSError)


def test_the_behaviour_at_the_end_can_be_overridden() -> None:
    class Lenient(LimitedStream):
        def on_disconnect(self, error: Exception | None = None) -> bytes | None:
            return b""

    assert Lenient(io.BytesIO(b"ab"), 5).read() == b"ab"


class _Telling(BaseException):
    """Raised by the hooks of the streams below, because readers do not catch it."""


def _outcomes(kind: type[Any], limit: int, is_max: bool, reads: tuple[str, ...]) -> list[object]:
    class Telling(kind):  # type: ignore[misc]
        def on_exhausted(self) -> bytes | None:
            raise _Telling("exhausted")

        def on_disconnect(self, error: Exception | None = None) -> bytes | None:
            raise _Telling("disconnected")

    stream = Telling(io.BytesIO(b"one\ntwo\nthree"), limit, is_max)
    found: list[object] = []
    for read in reads:
        try:
            found.append(_READS[read](stream))
        except _Telling as told:
            found.append(str(told))
    return [*found, stream.tell()]


_READS: dict[str, Any] = {
    "all": lambda stream: stream.read(),
    "readall": lambda stream: stream.readall(),
    "two": lambda stream: stream.read(2),
    "many": lambda stream: stream.read(99),
    "line": lambda stream: stream.readline(),
    "lines": lambda stream: stream.readlines(),
    "into": lambda stream: stream.readinto(bytearray(3)),
    "exhaust": lambda stream: stream.exhaust(),
}


@pytest.mark.parametrize("reads", [*itertools.product(_READS, repeat=2)])
@pytest.mark.parametrize(
    ("limit", "is_max"),
    # An intentional difference: at the maximum the read itself fails, because there is more.
    [(0, False), (3, False), (4, False), (13, False), (20, False), (0, True), (20, True)],
)
def test_the_hooks_of_a_subclass_are_called_as_in_werkzeug(
    limit: int, is_max: bool, reads: tuple[str, ...]
) -> None:
    ours = _outcomes(LimitedStream, limit, is_max, reads)
    assert ours == _outcomes(werkzeug.wsgi.LimitedStream, limit, is_max, reads)


def test_bytes_returned_by_a_hook_are_not_added_to_the_content() -> None:
    class Giving(LimitedStream):
        def on_exhausted(self) -> bytes | None:
            return b"more"

        def on_disconnect(self, error: Exception | None = None) -> bytes | None:
            return b"more"

    assert Giving(io.BytesIO(b"ab"), 5).read() == b"ab"
    assert Giving(io.BytesIO(b"ab"), 0).read() == b""


def test_memory_for_a_declared_length_is_allocated_when_bytes_arrive() -> None:
    class Recording(io.BytesIO):
        asked: list[int] = []

        def read(self, size: int | None = -1) -> bytes:
            self.asked.append(size or 0)
            return super().read(size)

    stream = Recording(b"x" * 200_000)
    with pytest.raises(ClientDisconnected):
        LimitedStream(stream, 10**12).read()
    assert max(stream.asked) <= 1 << 20


@given(st.binary(max_size=100), st.integers(0, 110), st.lists(st.integers(0, 20), max_size=20))
def test_any_sequence_of_reads_returns_the_beginning_of_the_content(
    content: bytes, limit: int, sizes: list[int]
) -> None:
    stream = LimitedStream(io.BytesIO(content), limit)
    got = b""
    try:
        for size in sizes:
            got += stream.read(size)
            assert stream.tell() == len(got)
    except ClientDisconnected:
        assert limit > len(content)
        assert got == content
    assert got == content[: min(limit, len(got))]


ENVIRONS: list[dict[str, Any]] = [
    {},
    {"CONTENT_LENGTH": "5"},
    {"CONTENT_LENGTH": "20"},
    {"CONTENT_LENGTH": "0"},
    {"CONTENT_LENGTH": ""},
    {"CONTENT_LENGTH": "abc"},
    {"CONTENT_LENGTH": "-1"},
    {"CONTENT_LENGTH": "+5"},
    {"CONTENT_LENGTH": "5_0"},
    {"CONTENT_LENGTH": "٣"},
    {"wsgi.input_terminated": True},
    {"wsgi.input_terminated": True, "CONTENT_LENGTH": "5"},
    {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": "5"},
    {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True},
]


def environ_with(changes: dict[str, Any]) -> dict[str, Any]:
    environ = create_environ("/", method="POST", input_stream=io.BytesIO(b"0123456789"))
    environ.pop("CONTENT_LENGTH", None)
    return {**environ, **changes}


@pytest.mark.parametrize("changes", ENVIRONS, ids=str)
def test_the_input_of_an_environ_is_that_of_werkzeug(changes: dict[str, Any]) -> None:
    for options in ({}, {"safe_fallback": False}, {"max_content_length": 12}):
        found = [
            outcome(lambda e: module.get_input_stream(e, **options).read(), environ_with(changes))
            for module in (wsgi, werkzeug.wsgi)
        ]
        assert found[0] == found[1]
    environ = environ_with(changes)
    assert wsgi.get_content_length(environ) == werkzeug.wsgi.get_content_length(environ)


@pytest.mark.parametrize("limit", [4, 5])
def test_a_declared_length_above_the_limit_is_refused(limit: int) -> None:
    environ = environ_with({"CONTENT_LENGTH": "5"})
    found = [
        outcome(lambda e: module.get_input_stream(e, max_content_length=limit).read(), environ)
        for module in (wsgi, werkzeug.wsgi)
    ]
    assert found[0] == ("RequestEntityTooLarge" if limit == 4 else b"01234")
    environ["wsgi.input"].seek(0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"root_only": True},
        {"strip_querystring": True},
        {"host_only": True},
        {"trusted_hosts": ["example.com"]},
        {"trusted_hosts": ["other"]},
    ],
    ids=str,
)
def test_the_current_url_is_that_of_werkzeug(options: dict[str, Any]) -> None:
    environ = create_environ("/a b/c%2525?x=ü&y", "https://example.com:444/r")
    found = [
        outcome(lambda e: module.get_current_url(e, **options), environ)
        for module in (wsgi, werkzeug.wsgi)
    ]
    assert found[0] == found[1]
    assert wsgi.get_path_info(environ) == werkzeug.wsgi.get_path_info(environ)
    assert wsgi.get_host(environ) == werkzeug.wsgi.get_host(environ)


def test_the_current_url_of_a_path_that_is_not_ascii_is_readable() -> None:
    # Werkzeug's function decodes each byte as a character; its Request does not.
    environ = create_environ("/ü?x=ü", "http://example.com/é")
    assert wsgi.get_current_url(environ) == "http://example.com/é/ü?x=ü"


def test_a_file_is_wrapped_by_the_server_if_possible() -> None:
    file = io.BytesIO(b"0123456789")
    assert isinstance(wsgi.wrap_file({}, file), FileWrapper)
    assert wsgi.wrap_file({"wsgi.file_wrapper": lambda f, size: (f, size)}, file, 3) == (file, 3)
    wrapped = FileWrapper(file, 4)
    assert (list(wrapped), wrapped.seekable()) == ([b"0123", b"4567", b"89"], True)
    wrapped.seek(8)
    assert (wrapped.tell(), wrapped.offset, wrapped.count) == (8, 8, None)
    wrapped.close()
    assert file.closed


def test_a_closing_iterator_closes_the_iterable_first() -> None:
    calls = []

    class Body(list[bytes]):
        def close(self) -> None:
            calls.append("body")

    body = wsgi.ClosingIterator(
        Body([b"a"]), [lambda: calls.append("one"), lambda: calls.append("two")]
    )
    assert list(body) == [b"a"]
    assert calls == []
    body.close()
    assert calls == ["body", "one", "two"]
    single = wsgi.ClosingIterator(iter([b"a"]), lambda: calls.append("three"))
    single.close()
    assert calls[-1] == "three"


def test_a_responder_may_be_a_method() -> None:
    class Application:
        @wsgi.responder
        def __call__(self, environ: Any, start_response: Any) -> Any:
            return lambda environ, start_response: [environ["name"]]

    assert Application()({"name": b"x"}, None) == [b"x"]


def told(library: Any, content: bytes, reads: tuple[Any, ...], raises: bool) -> list[Any]:
    """The result of a subclass that overrides both methods, and its calls."""
    log: list[str] = []

    class Told(library.LimitedStream):  # type: ignore[misc]
        def on_exhausted(self) -> Any:
            log.append("exhausted")
            if raises:
                raise KeyError
            return b"ignored"

        def on_disconnect(self, error: Exception | None = None) -> Any:
            log.append(f"disconnected {type(error).__name__}")
            if raises:
                raise KeyError
            return b"ignored"

    stream = Told(io.BytesIO(content), 6)
    found = [outcome(read, stream) for read in reads]
    return [*found, stream.tell(), stream.is_exhausted, log]


TOLD: list[Callable[[Any], Any]] = [
    lambda s: s.read(),
    lambda s: s.read(3),
    lambda s: s.read(99),
    lambda s: s.readall(),
    lambda s: s.exhaust(),
    lambda s: s.readinto(bytearray(4)),
    lambda s: s.readline(),
    lambda s: s.readlines(),
]


@pytest.mark.parametrize("content", [b"abcdef", b"abcdefgh", b"abc", b"", b"a\nb\nc\n"])
@pytest.mark.parametrize("raises", [False, True])
def test_a_subclass_is_called_at_the_end_as_in_werkzeug(content: bytes, raises: bool) -> None:
    for reads in itertools.product(TOLD, repeat=2):
        assert told(wsgi, content, reads, raises) == told(werkzeug.wsgi, content, reads, raises)
