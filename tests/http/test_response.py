"""Response, compared with Werkzeug: made and changed the same way, it has the same answer."""

from __future__ import annotations

import io
from collections.abc import Callable
from copy import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import werkzeug.datastructures
import werkzeug.wrappers
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import create_environ

from black_box import plain
from carboy.file_wrapper import FileWrapper
from carboy.gateway.interface import is_file_body
from carboy.http.exceptions import RequestedRangeNotSatisfiable
from carboy.http.request.request import Request
from carboy.http.response.response import Response
from exchanges import raw_request, received

Make = Callable[[type[Any]], Any]


def sent(response: Any, method: str = "GET") -> tuple[Any, ...]:
    """The answer of a response over WSGI, closed as by a server."""
    environ = create_environ("/p/", "http://host.example/root/", method=method)
    body, status, headers = response.get_wsgi_response(environ)
    content = b"".join(body)
    if hasattr(body, "close"):
        body.close()
    return status, headers, content


def called(response: Any, method: str = "GET") -> tuple[Any, ...]:
    """The answer of calling the response."""
    environ = create_environ("/p/", "http://host.example/root/", method=method)
    started: list[Any] = []
    body = response(environ, lambda status, headers: started.extend([status, headers]))
    content = b"".join(body)
    if hasattr(body, "close"):
        body.close()
    return (*started, content)


def answered(response: Any, method: str = "GET") -> tuple[Any, ...]:
    """The answer on the direct lane."""
    raw = raw_request("/p/", method, host="host.example")
    status, headers, body, close = response.answer(received(raw))
    content = body if isinstance(body, bytes) else b"".join(body)
    if close is not None:
        close()
    return status, headers, content


RESPONSES: dict[str, Make] = {
    "text": lambda cls: cls("hällo"),
    "bytes": lambda cls: cls(b"bytes"),
    "bytearray": lambda cls: cls(bytearray(b"x")),
    "nothing": lambda cls: cls(),
    "list": lambda cls: cls(["a", b"b", "ü"]),
    "one in a list": lambda cls: cls([b"abc"]),
    "tuple": lambda cls: cls(("a", "b")),
    "iterator": lambda cls: cls(iter(["a", "ü"])),
    "generator": lambda cls: cls(x for x in [b"1", b"2"]),
    "json": lambda cls: cls("{}", mimetype="application/json"),
    "xml": lambda cls: cls("<a/>", mimetype="application/atom+xml"),
    "content type": lambda cls: cls("x", content_type="text/html; charset=latin1"),
    "both types": lambda cls: cls("x", mimetype="a/b", content_type="c/d"),
    "type in headers": lambda cls: cls("x", headers={"content-type": "a/b"}),
    "headers": lambda cls: cls("x", 201, [("X-A", "1"), ("X-A", "2")]),
    "headers mapping": lambda cls: cls("x", headers={"X": ["a", "b"]}, mimetype="a/b"),
    "teapot": lambda cls: cls("x", 418),
    "unknown status": lambda cls: cls("x", 799),
    "own phrase": lambda cls: cls("x", "404 Lost And Gone"),
    "code as text": lambda cls: cls("x", " 404 "),
    "no number": lambda cls: cls("x", "wow"),
    "zero": lambda cls: cls("x", 0),
    "no content": lambda cls: cls("x", 204),
    "not modified": lambda cls: cls("x", 304, {"ETag": '"a"', "Expires": "0", "Allow": "GET"}),
    "continue": lambda cls: cls("x", 100),
    "reset": lambda cls: cls("x", 205),
    "own length": lambda cls: cls("abc", headers={"Content-Length": "7"}),
    "location": lambda cls: cls("x", 302, {"Location": "/ü?q=ö#ä"}),
    "location with host": lambda cls: cls("x", 302, {"Location": "http://ü.example/ü"}),
    "content location": lambda cls: cls("x", headers={"Content-Location": "/ü"}),
    "passed through": lambda cls: cls([b"a", b"b"], direct_passthrough=True),
    "cookies": lambda cls: with_cookies(cls("x")),
    "csp": lambda cls: changed(cls("x"), "content_security_policy", "default-src 'self'"),
    "set data": lambda cls: changed(cls(iter("abc")), "data", "new"),
    "mimetype set": lambda cls: changed(cls("x"), "mimetype", "text/css"),
    "status set": lambda cls: changed(cls("x"), "status_code", 418),
    "headers a mapping": lambda cls: changed(cls("x"), "headers", {"X-A": ["1", "2"]}),
    "headers a list": lambda cls: changed(cls("x"), "headers", [("X-A", "1"), ("X-B", 5)]),
    "headers a tuple": lambda cls: changed(cls("x"), "headers", (("Location", "/ü"),)),
    "headers empty": lambda cls: changed(cls("x"), "headers", {}),
    "headers none": lambda cls: changed(cls("x"), "headers", None),
    "headers assigned, streamed": lambda cls: changed(cls(iter("ab")), "headers", {"X-A": "1"}),
    "headers assigned, 304": lambda cls: changed(cls("x", 304), "headers", {"Expires": "0"}),
    "body replaced": lambda cls: changed(cls("x"), "response", [b"longer"]),
}


def with_cookies(response: Any) -> Any:
    response.set_cookie("a", "b c", secure=True, httponly=True, samesite="lax")
    response.delete_cookie("old", domain=".example.com")
    return response


def changed(response: Any, name: str, value: Any) -> Any:
    setattr(response, name, value)
    return response


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("make", RESPONSES.values(), ids=RESPONSES)
def test_a_response_is_sent_as_in_werkzeug(make: Make, method: str) -> None:
    assert sent(make(Response), method) == sent(make(werkzeug.wrappers.Response), method)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("make", RESPONSES.values(), ids=RESPONSES)
def test_calling_a_response_sends_its_wsgi_response(make: Make, method: str) -> None:
    assert called(make(Response), method) == sent(make(Response), method)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("make", RESPONSES.values(), ids=RESPONSES)
def test_a_response_is_the_same_on_the_direct_lane(make: Make, method: str) -> None:
    assert answered(make(Response), method) == sent(make(Response), method)


@pytest.mark.parametrize("make", RESPONSES.values(), ids=RESPONSES)
def test_reading_the_headers_does_not_change_the_response(make: Make) -> None:
    response = make(Response)
    theirs = make(werkzeug.wrappers.Response)
    assert plain(response.headers) == plain(theirs.headers)
    assert answered(response) == answered(make(Response))


@pytest.mark.parametrize("make", RESPONSES.values(), ids=RESPONSES)
def test_the_repr_is_that_of_werkzeug(make: Make) -> None:
    assert repr(make(Response)) == repr(make(werkzeug.wrappers.Response))


class Own(Response):
    default_mimetype = "text/html"
    default_status = 201


class Theirs(werkzeug.wrappers.Response):
    default_mimetype = "text/html"
    default_status = 201


class NoType(Response):
    default_mimetype = None
    automatically_set_content_length = False


class NoTypeTheirs(werkzeug.wrappers.Response):
    default_mimetype = None
    automatically_set_content_length = False


@pytest.mark.parametrize(("own", "theirs"), [(Own, Theirs), (NoType, NoTypeTheirs)])
@pytest.mark.parametrize("make", RESPONSES.values(), ids=RESPONSES)
def test_the_class_attributes_have_the_same_effect_as_in_werkzeug(
    make: Make, own: type[Response], theirs: type[Any]
) -> None:
    assert sent(make(own)) == sent(make(theirs))
    assert called(make(own)) == sent(make(theirs))


@pytest.mark.parametrize("location", ["/x", "é?q", "", "x y", "//other/x", "http://a/ü"])
def test_a_location_is_made_absolute_only_if_enabled(location: str) -> None:
    def make(cls: type[Any], absolute: bool) -> Any:
        response = cls("x", 302, {"Location": location})
        response.autocorrect_location_header = absolute
        return response

    for absolute in (False, True):
        theirs = sent(make(werkzeug.wrappers.Response, absolute))
        assert sent(make(Response, absolute)) == theirs
    status, headers, *_ = answered(make(Response, True))
    assert dict(headers)["Location"].startswith(
        ("http://host.example/", "http://other/", "http://a/")
    )


def test_a_status_without_text_is_refused() -> None:
    for status in ("", "  ", "200 OK\r\nX: y"):
        with pytest.raises(ValueError):
            Response(status=status)


WRITTEN: list[Any] = ["a", b"b", "é", bytearray(b"c")]


@pytest.mark.parametrize("body", ["x", b"x", ["x"], ("x", b"y"), None], ids=str)
def test_pieces_written_to_the_stream_are_stored_unchanged(body: Any) -> None:
    found = []
    for cls in (Response, werkzeug.wrappers.Response):
        response = cls(copy(body))
        lengths = [response.stream.write(piece) for piece in WRITTEN]
        assert response.response[-len(WRITTEN) :] == WRITTEN
        found.append((plain(response.response), lengths, response.stream.tell(), sent(response)))
        assert called(response) == sent(response)
    assert found[0] == found[1]
    response = Response(body)
    response.stream.writelines(WRITTEN)
    assert answered(response) == sent(response)


PROPERTIES: list[tuple[str, Any]] = [
    ("location", "/x"),
    ("age", 12),
    ("age", timedelta(seconds=5)),
    ("content_type", "a/b"),
    ("content_length", 12),
    ("content_location", "/y"),
    ("content_encoding", "gzip"),
    ("content_md5", "abc"),
    ("date", datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ("expires", datetime(2020, 1, 2, 3, 4, 5)),
    ("expires", 5),
    ("last_modified", datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ("retry_after", 120),
    ("retry_after", datetime(2020, 1, 2, tzinfo=UTC)),
    ("vary", ["Cookie", "Accept"]),
    ("vary", "Cookie, Accept"),
    ("content_language", ["de"]),
    ("allow", {"GET"}),
    ("accept_ranges", "bytes"),
    ("content_range", "bytes 0-4/10"),
    ("www_authenticate", None),
    ("content_security_policy", "default-src 'self'; img-src *"),
    ("content_security_policy", werkzeug.datastructures.HeaderSet(["a", "b"])),
    ("content_security_policy_report_only", "default-src 'none'"),
    ("access_control_allow_credentials", True),
    ("access_control_allow_credentials", False),
    ("access_control_allow_headers", ["X-A", "X-B"]),
    ("access_control_allow_methods", ["GET", "PUT"]),
    ("access_control_allow_origin", "*"),
    ("access_control_expose_headers", ["X-C"]),
    ("access_control_max_age", 600),
    ("mimetype", "text/css"),
    ("mimetype", "image/png"),
]


@pytest.mark.parametrize(("name", "value"), PROPERTIES, ids=str)
def test_a_property_is_written_and_read_as_in_werkzeug(name: str, value: Any) -> None:
    ours, theirs = Response("x"), werkzeug.wrappers.Response("x")
    assert str(getattr(ours, name)) == str(getattr(theirs, name))
    setattr(ours, name, value)
    setattr(theirs, name, value)
    assert list(ours.headers.items(lower=True)) == list(theirs.headers.items(lower=True))
    if name != "retry_after" or isinstance(value, datetime):
        assert str(getattr(ours, name)) == str(getattr(theirs, name))


@pytest.mark.parametrize("name", sorted({name for name, _ in PROPERTIES} - {"mimetype"}))
def test_assigning_none_removes_the_header(name: str) -> None:
    # Werkzeug sends the word "None", or the current time for a date.
    response = Response("x", headers={name.replace("_", "-"): "1"})
    setattr(response, name, None)
    assert name.replace("_", "-") not in response.headers


CHANGES: dict[str, Callable[[Any], Any]] = {
    "vary": lambda r: r.vary.add("Cookie"),
    "vary twice": lambda r: (r.vary.update(["A", "B"]), r.vary.remove("a")),
    "vary empty": lambda r: (r.vary.add("A"), r.vary.clear()),
    "allow": lambda r: r.allow.update({"GET"}),
    "cache": lambda r: setattr(r.cache_control, "max_age", 5),
    "cache no-store": lambda r: setattr(r.cache_control, "no_store", True),
    "cache undone": lambda r: (
        setattr(r.cache_control, "public", True),
        setattr(r.cache_control, "public", False),
    ),
    "csp": lambda r: setattr(r.content_security_policy, "script_src", "'self'"),
    "range": lambda r: r.content_range.set(0, 4, 10),
    "range undone": lambda r: (r.content_range.set(0, 4, 10), r.content_range.unset()),
    "mimetype params": lambda r: r.mimetype_params.update(charset="latin1"),
    "realm": lambda r: setattr(r.www_authenticate, "realm", "here"),
    "etag": lambda r: r.set_etag("abc", weak=True),
    "added etag": lambda r: r.add_etag(),
    "freeze": lambda r: r.freeze(),
    "stream": lambda r: r.stream.write("more"),
    "stream lines": lambda r: r.stream.writelines(["1", b"2"]),
    "data": lambda r: r.set_data("ü"),
    "sequence": lambda r: r.make_sequence(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_in_place_updates_the_headers_as_in_werkzeug(
    change: Callable[[Any], Any],
) -> None:
    ours, theirs = Response("x"), werkzeug.wrappers.Response("x")
    change(ours)
    change(theirs)
    assert list(ours.headers) == list(theirs.headers)
    assert sent(ours) == sent(theirs)
    assert answered(ours) == sent(theirs)


@pytest.mark.parametrize("value", ["more", "ü", "", b"more", bytearray(b"m"), ["a", b"b", "ü"]])
@pytest.mark.parametrize("body", [None, "x", [], ["a", "ü"], ("a", b"b")])
def test_pieces_written_to_the_stream_are_kept(body: Any, value: Any) -> None:
    def written(response: Any) -> list[object]:
        stream = response.stream
        many = isinstance(value, list)
        told = stream.writelines(value) if many else stream.write(value)
        return [told, stream.tell(), response.response, response.get_data(), response.response]

    ours = written(Response(copy(body)))
    assert ours == written(werkzeug.wrappers.Response(copy(body)))


def test_an_etag_that_was_set_is_read() -> None:
    response = Response("abc")
    assert response.get_etag() == (None, None)
    response.add_etag()
    tag = response.get_etag()
    response.add_etag(weak=True)
    assert response.get_etag() == tag
    response.add_etag(overwrite=True, weak=True)
    assert response.get_etag() == (tag[0], True)


def test_a_body_in_direct_passthrough_is_not_read() -> None:
    response = Response(iter([b"a"]), direct_passthrough=True)
    with pytest.raises(RuntimeError):
        response.get_data()
    assert response.calculate_content_length() is None
    strict = Response(iter([b"a"]))
    strict.implicit_sequence_conversion = False
    with pytest.raises(RuntimeError):
        strict.get_data()


def test_an_iterable_becomes_a_sequence_when_data_is_read() -> None:
    response = Response(x for x in ["a", "ü"])
    assert response.is_streamed
    assert not response.is_sequence
    assert response.get_data(as_text=True) == "aü"
    assert response.is_sequence
    assert not response.is_streamed


class Body:
    """An iterable that counts how often it is closed."""

    def __init__(self) -> None:
        self.closed = 0

    def __iter__(self) -> Any:
        return iter([b"a", b"b"])

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("send", [sent, called, answered])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_body_is_closed_once_and_registered_functions_are_called(
    send: Callable[..., Any], method: str
) -> None:
    body, calls = Body(), []
    response = Response(body)
    response.call_on_close(lambda: calls.append("closed"))
    send(response, method)
    assert (body.closed, calls) == (1, ["closed"])


@pytest.mark.parametrize("send", [sent, called, answered])
def test_registered_functions_of_a_small_response_are_called(send: Callable[..., Any]) -> None:
    calls: list[int] = []
    response = Response("x")

    @response.call_on_close
    def done() -> None:
        calls.append(1)

    send(response)
    assert calls == [1]


def test_a_body_that_became_a_sequence_is_closed() -> None:
    body = Body()
    with Response(body) as response:
        assert response.data == b"ab"
        assert body.closed == 0
    assert body.closed == 1


def test_an_overridden_method_is_used_on_both_lanes() -> None:
    class Marked(Response):
        def get_wsgi_headers(self, environ: dict[str, Any]) -> Any:
            headers = super().get_wsgi_headers(environ)
            headers["X-Mark"] = environ["PATH_INFO"]
            return headers

    for send in (sent, called, answered):
        status, headers, content = send(Marked("x"))
        assert (dict(headers)["X-Mark"], content) == ("/p/", b"x")


def test_a_response_can_be_made_from_an_application() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("201 Created", [("X-A", "b")])
        return [b"q"]

    environ = create_environ("/")
    response = Own.force_type(app, environ)
    assert type(response) is Own
    assert (response.status, response.headers["X-A"], response.data) == ("201 Created", "b", b"q")
    with pytest.raises(TypeError):
        Own.force_type(app)
    same = Response("y")
    assert Own.force_type(same) is same
    assert type(same) is Own
    for buffered in (False, True):
        assert Response.from_app(app, environ, buffered).data == b"q"


def test_the_json_of_a_response_is_parsed() -> None:
    assert Response('{"a": 1}', mimetype="application/json").json == {"a": 1}
    assert Response('{"a": 1}').json is None
    assert Response("[1]").get_json(force=True) == [1]
    assert Response("[").get_json(force=True, silent=True) is None
    with pytest.raises(ValueError):
        Response("[").get_json(force=True)


def test_a_headers_object_is_used_without_a_copy() -> None:
    headers = Response("x").headers
    assert Response("y", headers=headers).headers is headers


def test_a_control_character_in_a_header_is_a_value_error() -> None:
    for name, value in (("X", "a\r\nb"), ("X\n", "a"), ("X", "\0")):
        with pytest.raises(ValueError):
            Response("x").headers[name] = value
    with pytest.raises(ValueError):
        Response("x", mimetype="text/html\r\nX: y")
    with pytest.raises(ValueError):
        Response("x", content_type="text/html\r\nX: y")


def test_the_type_of_one_response_does_not_change_that_of_another() -> None:
    assert Response("x", content_type="text/odd").headers["Content-Type"] == "text/odd"
    assert Response("x", mimetype="text/odd").headers["Content-Type"] == "text/odd; charset=utf-8"
    assert Response("x", content_type="text/odd").headers["Content-Type"] == "text/odd"


# conditional requests

DATE = "Sun, 09 Sep 2001 01:46:40 GMT"
LATER = "Mon, 10 Sep 2001 01:46:40 GMT"
CONDITIONS: list[dict[str, str]] = [
    {},
    {"If-None-Match": '"tag"'},
    {"If-None-Match": 'W/"tag", "x"'},
    {"If-None-Match": "*"},
    {"If-None-Match": '"other"'},
    {"If-Match": '"tag"'},
    {"If-Match": '"other"'},
    {"If-Modified-Since": DATE},
    {"If-Modified-Since": LATER},
    {"If-Modified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"},
    {"If-Unmodified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"},
    {"If-None-Match": '"other"', "If-Modified-Since": DATE},
    {"Range": "bytes=2-4"},
    {"Range": "bytes=-3"},
    {"Range": "bytes=8-"},
    {"Range": "bytes=0-"},
    {"Range": "bytes=2-400"},
    {"Range": "bytes=20-"},
    {"Range": "bytes=4-2"},
    {"Range": "bytes=1-2,4-5"},
    {"Range": "lines=1-2"},
    {"Range": "nonsense"},
    {"Range": "bytes=2-4", "If-Range": '"tag"'},
    {"Range": "bytes=2-4", "If-Range": '"other"'},
    {"Range": "bytes=2-4", "If-Range": DATE},
    {"Range": "bytes=2-4", "If-Range": "Sat, 01 Jan 2000 00:00:00 GMT"},
    {"Range": "bytes=2-4", "If-None-Match": '"tag"'},
]
BODIES: dict[str, Callable[[], Any]] = {
    "bytes": lambda: b"0123456789",
    "list": lambda: [b"012", b"34567", b"89"],
    "iterator": lambda: iter([b"012", b"34567", b"89"]),
    "file": lambda: FileWrapper(io.BytesIO(b"0123456789"), 3),
}


def conditional(cls: type[Any], source: Any, body: Any, **options: Any) -> Any:
    response = cls(body, headers={"Date": "x", "ETag": '"tag"', "Last-Modified": DATE})
    options = {"accept_ranges": True, "complete_length": 10, **options}
    try:
        return sent(response.make_conditional(source, **options))
    except Exception as error:
        return type(error).__name__, error.get_headers(None)  # type: ignore[attr-defined]


@pytest.mark.parametrize("headers", CONDITIONS, ids=str)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_conditional_request_is_answered_as_in_werkzeug(
    headers: dict[str, str], body: Callable[[], Any]
) -> None:
    environ = create_environ("/", headers=headers)
    theirs = conditional(werkzeug.wrappers.Response, environ, body())
    assert conditional(Response, environ, body()) == theirs


@pytest.mark.parametrize("headers", CONDITIONS, ids=str)
def test_a_conditional_request_is_answered_equally_on_the_direct_lane(
    headers: dict[str, str],
) -> None:
    environ = create_environ("/", headers=headers)
    exchange = received(raw_request(fields=list(headers.items())))
    request = Request.from_exchange(exchange)  # type: ignore[arg-type]
    exchange.environ = lambda: pytest.fail("an environ was built")  # type: ignore[method-assign]
    assert conditional(Response, request, b"0123456789") == conditional(
        Response, environ, b"0123456789"
    )


def test_a_star_in_if_match_matches_any_response() -> None:
    # RFC 9110, section 13.1.1; Werkzeug answers 412.
    environ = create_environ("/", headers={"If-Match": "*"})
    assert conditional(Response, environ, b"0123456789")[0] == "200 OK"


@pytest.mark.parametrize("accept_ranges", [False, True, "bytes", "x", ""])
@pytest.mark.parametrize("complete_length", [None, 0, 10])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_ranges_are_offered_as_in_werkzeug(
    accept_ranges: Any, complete_length: int | None, method: str
) -> None:
    environ = create_environ("/", method=method, headers={"Range": "bytes=1-2"})
    options = {"accept_ranges": accept_ranges, "complete_length": complete_length}
    theirs = conditional(werkzeug.wrappers.Response, environ, b"0123456789", **options)
    assert conditional(Response, environ, b"0123456789", **options) == theirs


def test_the_error_of_an_unsatisfiable_range_has_the_length() -> None:
    environ = create_environ("/", headers={"Range": "bytes=20-"})
    with pytest.raises(RequestedRangeNotSatisfiable) as caught:
        Response(b"0123456789").make_conditional(environ, True, 10)
    assert ("Content-Range", "bytes */10") in caught.value.get_headers()


@given(
    st.lists(st.binary(max_size=6), max_size=6),
    st.integers(0, 40),
    st.integers(0, 40),
    st.booleans(),
)
def test_a_range_of_a_body_equals_its_slice(
    pieces: list[bytes], start: int, length: int, as_file: bool
) -> None:
    content = b"".join(pieces)
    body: Any = FileWrapper(io.BytesIO(content), 3) if as_file else iter(pieces)
    environ = create_environ("/", headers={"Range": f"bytes={start}-{start + length}"})
    response = Response(body, direct_passthrough=as_file)
    if start >= len(content):
        if content:
            with pytest.raises(RequestedRangeNotSatisfiable):
                response.make_conditional(environ, True, len(content))
        return
    response.make_conditional(environ, True, len(content))
    status, headers, found = sent(response)
    assert found == content[start : start + length + 1]
    assert dict(headers)["Content-Length"] == str(len(found))


def test_the_kernel_can_send_a_range_of_a_file() -> None:
    response = Response(FileWrapper(io.BytesIO(b"0123456789")), direct_passthrough=True)
    request = Request.from_exchange(  # type: ignore[arg-type]
        received(raw_request(fields=[("Range", "bytes=2-5")]))
    )
    response.make_conditional(request, True, 10)
    status, headers, body, close = response.answer(request)
    assert is_file_body(body)
    assert (status[:3], body.offset, body.count) == ("206", 2, 4)
    assert b"".join(body) == b"2345"
    close()
    assert body.file.closed


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "name",
    ["text", "nothing", "list", "iterator", "location", "cookies", "status set"],
)
def test_wsgiref_validates_responses(name: str, method: str) -> None:
    from wsgiref.validate import validator

    environ = create_environ("/", method=method)
    environ["wsgi.input"] = io.BytesIO()
    body = validator(RESPONSES[name](Response))(environ, lambda *args: lambda data: None)
    assert isinstance(b"".join(body), bytes)
    body.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("base", [Response, werkzeug.wrappers.Response])
def test_a_subclass_can_change_how_a_range_is_made(base: Any) -> None:
    class Watched(base):  # type: ignore[misc]
        def _is_range_request_processable(self, environ: Any) -> bool:
            return "whole" not in environ and super()._is_range_request_processable(environ)

        def _process_range_request(self, environ: Any, *rest: Any) -> bool:
            asked.append(rest)
            return super()._process_range_request(environ, *rest)

        def _wrap_range_response(self, start: int, length: int) -> None:
            asked.append((start, length))
            super()._wrap_range_response(start, length)

    asked: list[Any] = []
    for more in ({}, {"whole": True}):
        environ = create_environ(headers={"Range": "bytes=1-2"}) | more
        response = Watched(b"abcd").make_conditional(environ, True, 4)
        asked.append(response.status_code)
    assert asked == [(4, True), (1, 2), 206, (4, True), 200]


@pytest.mark.parametrize("value", ["9" * 12, "9" * 30, "9" * 5000, f"Thu, 02 Jan {'9' * 30}"])
def test_a_retry_after_above_the_year_9999_gives_none(value: str) -> None:
    # Werkzeug raises OverflowError for the first two.
    assert Response(headers={"Retry-After": value}).retry_after is None
