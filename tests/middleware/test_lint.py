"""The linter warns in the same cases as Werkzeug's, with the same categories."""

from __future__ import annotations

import gc
import io
import sys
import warnings
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import werkzeug.datastructures
import werkzeug.middleware.lint
from hypothesis import given
from hypothesis import strategies as st

from carboy.http import Headers
from carboy.middleware import lint
from carboy.testing import create_environ

SIDES = ((werkzeug.middleware.lint, werkzeug.datastructures.Headers), (lint, Headers))
Do = Callable[[Any, Any], Any]


class Text(str):
    """A subclass of str."""


class Bytes(bytes):
    """A subclass of bytes."""


def noted(module: Any, headers: Any, do: Do) -> tuple[Any, list[tuple[str, str]]]:
    """The result or the type of the error, and the category and file of each warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = do(module, headers)
        except Exception as error:
            result = type(error).__name__
    return result, [(each.category.__name__, each.filename) for each in caught]


def same(do: Do) -> list[str]:
    """The categories of the warnings, after checking that both sides agree."""
    (theirs, expected), (ours, found) = (noted(module, headers, do) for module, headers in SIDES)
    assert (ours, found) == (theirs, expected)
    return [kind for kind, _ in found]


@pytest.mark.parametrize("arguments", [(), (1,), (1, 2)])
@pytest.mark.parametrize("method", ["read", "readline"])
def test_reading_the_body_without_a_size_is_unsafe(method: str, arguments: tuple[int]) -> None:
    def do(module: Any, headers: Any) -> Any:
        return getattr(module.InputStream(io.BytesIO(b"abc\ndef")), method)(*arguments)

    assert same(do) == (
        [] if (method, arguments) in (("read", (1,)), ("readline", (1, 2))) else [W]
    )


W, H = "WSGIWarning", "HTTPWarning"


def test_closing_a_stream_of_the_server_is_a_warning() -> None:
    assert same(lambda module, _: module.InputStream(io.BytesIO()).close()) == [W]
    assert same(lambda module, _: module.ErrorStream(io.StringIO()).close()) == [W]


def test_a_body_that_cannot_be_iterated_is_a_warning() -> None:
    assert same(lambda module, _: list(module.InputStream(io.BytesIO(b"a\nb")))) == []
    assert same(lambda module, _: list(module.InputStream(object()))) == [W]


@pytest.mark.parametrize("value", ["a", b"a", Text("a")])
def test_the_error_stream_takes_plain_text(value: Any) -> None:
    def do(module: Any, _: Any) -> str:
        stream = io.StringIO()
        module.ErrorStream(stream).write(value)
        return stream.getvalue()

    assert same(do) == ([] if type(value) is str else [W])


def test_writelines_checks_each_line() -> None:
    stream = io.StringIO()
    guarded = lint.ErrorStream(stream)
    with pytest.warns(lint.WSGIWarning, match="wsgi.error.write"):
        guarded.writelines(["a", Text("b")])
    guarded.flush()
    assert stream.getvalue() == "ab"


@pytest.mark.parametrize("value", ["a", b"abc", Bytes(b"x")])
def test_write_takes_plain_bytes_and_counts_them(value: Any) -> None:
    def do(module: Any, _: Any) -> Any:
        chunks: list[int] = []
        sent: list[Any] = []
        module.GuardedWrite(sent.append, chunks)(value)
        return chunks, sent

    assert same(do) == ([] if type(value) is bytes else [W])


TAGS = ['"a"', 'W/"a"', 'w/"a"', "a", '"a', 'a"', '"', "", "W/", "W/a"]
PLACES = ["/x", "http://h/x", "//h/x", "mailto:x", ""]


@pytest.mark.parametrize(
    "header", [*product(["ETag"], TAGS), *product(["Location"], PLACES)], ids=str
)
def test_entity_tags_and_locations_are_checked(header: tuple[str, str]) -> None:
    kinds = same(
        lambda module, headers: module.LintMiddleware(None).check_headers(headers([header]))
    )
    assert kinds == ([] if header[1] in ('"a"', 'W/"a"', '"', "http://h/x", "//h/x") else [H])


GOOD = [("Content-Type", "text/plain")]
STARTS: dict[str, tuple[Any, Any, Any]] = {
    **{repr(s): (s, GOOD, None) for s in ("200 OK", "200", "200 ", "20 OK", "099 OK", "1000 X")},
    **{repr(s): (s, GOOD, None) for s in ("OK", " 200 OK", "200\tOK", "-10 OK", "²00 OK", b"2")},
    "not str": (Text("200 OK"), GOOD, None),
    "a tuple": ("200 OK", tuple(GOOD), None),
    "a list as item": ("200 OK", [["a", "b"]], None),
    "three in an item": ("200 OK", [("a", "b", "c")], None),
    "a number": ("200 OK", [("a", 1)], None),
    "names that are not str": ("200 OK", [(Text("a"), "b")], None),
    "a status header": ("200 OK", [("Status", "1")], None),
    "a header of HTTP": ("200 OK", [("ETag", "a")], None),
    "exc_info": ("200 OK", GOOD, (1, 2, 3)),
    "not exc_info": ("200 OK", GOOD, 1),
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_start_response_is_checked_by_pep_3333(start: tuple[Any, Any, Any]) -> None:
    def do(module: Any, _: Any) -> Any:
        status, headers = module.LintMiddleware(None).check_start_response(*start)
        return status, list(headers)

    same(do)


ENVIRONS: list[dict[str, Any]] = [
    {},
    *({"wsgi.version": version} for version in ((1, 1), [1, 0], None)),
    *(
        {"SCRIPT_NAME": name, "PATH_INFO": path}
        for name in ("", "/", "/a", "a")
        for path in ("", "/x", "x")
    ),
]


@pytest.mark.parametrize("changes", ENVIRONS, ids=str)
def test_values_of_the_environ_are_checked(changes: dict[str, Any]) -> None:
    environ = {**create_environ(), **changes}
    same(lambda module, _: module.LintMiddleware(None).check_environ(environ))


@pytest.mark.parametrize("key", sorted(create_environ()))
def test_missing_keys_of_the_environ_are_warnings(key: str) -> None:
    environ = {k: value for k, value in create_environ().items() if k != key}
    kinds = same(lambda module, _: module.LintMiddleware(None).check_environ(environ))
    assert kinds == ([W] if key in lint.REQUIRED else [])


def test_an_environ_must_be_a_plain_dict() -> None:
    class Environ(dict[str, Any]):
        pass

    environ = Environ(create_environ())
    assert same(lambda module, _: module.LintMiddleware(None).check_environ(environ)) == [W]


@pytest.mark.parametrize("body", [[b"a"], (b"a",), b"abc", "abc", Text("abc")], ids=repr)
def test_a_body_must_not_be_a_str(body: Any) -> None:
    kinds = same(lambda module, _: module.LintMiddleware(None).check_iterator(body))
    assert kinds == ([W] if isinstance(body, str) else [])


FIELDS = [
    "Content-Type",
    "Content-Encoding",
    "Content-Language",
    "Content-Range",
    "Expires",
    "Content-Location",
    "ETag",
    "Allow",
    "Last-Modified",
    "Connection",
]


@given(
    status=st.sampled_from([100, 101, 199, 200, 204, 205, 206, 302, 304, 404, 500]),
    length=st.sampled_from([None, "0", "3", "x"]),
    fields=st.lists(st.sampled_from(FIELDS), unique=True, max_size=4),
    body=st.sampled_from([[], [b""], [b"abc"], [b"ab", b"c"], ["abc"], [Bytes(b"abc")]]),
)
def test_a_complete_response_is_checked(
    status: int, length: str | None, fields: list[str], body: list[Any]
) -> None:
    given = [(field, "x") for field in fields]
    given += [] if length is None else [("Content-Length", length)]

    def do(module: Any, headers: Any) -> Any:
        chunks: list[int] = []
        guarded = module.GuardedIterator(body, (status, headers(given)), chunks)
        read = list(guarded)
        guarded.close()
        return read, chunks

    same(do)


def start(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
    return lambda data: None


def run(app: Any, close: bool = True) -> Do:
    def do(module: Any, _: Any) -> Any:
        environ = create_environ()
        response = module.LintMiddleware(app)(environ, start)
        read = list(response)
        if close:
            response.close()
        del response
        gc.collect()
        return read, type(environ["wsgi.input"]).__name__, environ["wsgi.file_wrapper"].__name__

    return do


def answers(*arguments: Any, body: Any = (), **named: Any) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response(*arguments, **named)
        return body(environ, write) if callable(body) else body

    return app


def written(environ: Any, write: Any) -> list[bytes]:
    write(b"ab")
    return []


APPLICATIONS: dict[str, tuple[Any, list[str]]] = {
    "a right one": (answers("200 OK", GOOD, body=[b"x"]), []),
    "write": (answers("200 OK", [("Content-Length", "2")], body=written), []),
    "a wrong length": (answers("200 OK", [("Content-Length", "3")], body=[b"x"]), [W]),
    "a str": (answers("200 OK", [], body="ab"), [W, W, W]),
    "no start": (lambda environ, start_response: [b"x"], [W]),
    "no start and no body": (lambda environ, start_response: [], []),
    "exc_info": (answers("200 OK", [], (ValueError, ValueError(), None)), []),
    "one argument": (answers("200 OK"), [W]),
    "four arguments": (answers("200 OK", [], None, 1), [W]),
    "named arguments": (answers("200 OK", [], exc_info=None), [W]),
    "read() of the body": (
        answers("200 OK", [], body=lambda environ, write: [environ["wsgi.input"].read()]),
        [W],
    ),
}


@pytest.mark.parametrize(("app", "kinds"), APPLICATIONS.values(), ids=APPLICATIONS)
def test_applications_are_checked(app: Any, kinds: list[str]) -> None:
    assert same(run(app)) == kinds


def test_a_body_that_is_not_closed_is_noticed() -> None:
    assert same(run(answers("200 OK", GOOD, body=[b"x"]), close=False)) == [W]


def test_reading_a_closed_body_is_a_warning() -> None:
    def do(module: Any, headers: Any) -> Any:
        guarded = module.GuardedIterator([b"a", b"b"], (200, headers(GOOD)), [])
        first = next(guarded)
        guarded.close()
        return first, next(guarded)

    assert same(do) == [W]


def test_closing_closes_the_applications_body() -> None:
    closed = []

    class Body:
        def __iter__(self) -> Any:
            return iter([b"a"])

        def close(self) -> None:
            closed.append(True)

    same(run(answers("200 OK", GOOD, body=Body())))
    assert closed == [True, True]


def test_none_as_body_is_an_error_without_warnings(monkeypatch: Any) -> None:
    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    with pytest.raises(TypeError):
        run(answers("200 OK", GOOD, body=None))(lint, Headers)
    gc.collect()
    assert unraisable == []


@pytest.mark.parametrize("given", [0, 1, 3])
def test_an_application_must_get_two_arguments(given: int) -> None:
    def do(module: Any, _: Any) -> Any:
        arguments = [create_environ(), start, 1][:given]
        module.LintMiddleware(answers("200 OK", GOOD))(*arguments).close()

    assert same(do) == [W]


def test_an_application_must_not_get_keyword_arguments() -> None:
    def do(module: Any, _: Any) -> Any:
        module.LintMiddleware(answers("200 OK", GOOD))(create_environ(), start, more=1).close()

    assert same(do) == [W]


def test_subclasses_are_warnings() -> None:
    assert same(lambda module, _: module.check_type("x", Text("a"))) == [W]
    assert same(lambda module, _: module.check_type("x", "a")) == []
    assert same(lambda module, _: module.check_type("x", b"a", bytes)) == []


def test_a_malformed_header_name_is_refused_unlike_in_werkzeug() -> None:
    with pytest.raises(ValueError, match="a:"):
        lint.LintMiddleware(None).check_start_response("200 OK", [("a:", "b")], None)
