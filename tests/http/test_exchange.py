"""Requests made from an exchange and from its environ have equal attributes."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.http.exceptions import ClientDisconnected, RequestEntityTooLarge
from carboy.http.forms.parser import FormDataParser
from carboy.http.request import exchange as origin_exchange
from carboy.http.request.request import Request
from carboy.protocol import Limits, Machine, RequestHead
from exchanges import RawExchange, raw_request, received

ATTRIBUTES = [
    "method",
    "scheme",
    "server",
    "root_path",
    "path",
    "query_string",
    "remote_addr",
    "headers",
    "content_length",
    "args",
    "host",
    "host_url",
    "root_url",
    "url_root",
    "base_url",
    "url",
    "full_path",
    "access_route",
    "script_root",
    "is_secure",
    "content_type",
    "content_encoding",
    "content_md5",
    "referrer",
    "origin",
    "date",
    "max_forwards",
    "access_control_request_headers",
    "access_control_request_method",
    "cookies",
    "authorization",
    "accept_mimetypes",
    "accept_charsets",
    "accept_encodings",
    "accept_languages",
    "cache_control",
    "pragma",
    "if_match",
    "if_none_match",
    "if_modified_since",
    "if_unmodified_since",
    "if_range",
    "range",
    "mimetype",
    "mimetype_params",
    "is_json",
    "form",
    "files",
    "values",
    "data",
    "is_multithread",
    "is_run_once",
    "remote_user",
    "user_agent",
    "want_form_data_parsed",
    "host_header",
]

# These types do not define equality.
BY_TEXT = {"if_match", "if_none_match", "if_range", "range", "cache_control"}

BROWSER = [
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)"),
    ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"),
    ("ACCEPT-LANGUAGE", "de,en;q=0.5"),
    ("Accept-Encoding", "gzip, br"),
    ("Accept-Charset", "utf-8"),
    ("Cookie", "a=1; session=x.y.z"),
    ("cookie", "b=2"),
    ("Referer", "http://example.com/before"),
    ("Origin", "http://example.com"),
    ("Cache-Control", "max-age=0, no-cache"),
    ("Pragma", "no-cache"),
    ("If-None-Match", '"abc", W/"def"'),
    ("If-Match", "*"),
    ("If-Modified-Since", "Sun, 09 Sep 2001 01:46:40 GMT"),
    ("If-Unmodified-Since", "Sun, 09 Sep 2001 01:46:40 GMT"),
    ("If-Range", '"abc"'),
    ("Range", "bytes=0-4"),
    ("Date", "Sun, 09 Sep 2001 01:46:40 GMT"),
    ("Max-Forwards", "5"),
    ("Authorization", "Basic YTpi"),
    ("X-Forwarded-For", "10.0.0.1, 10.0.0.2"),
    ("X-Twice", "one"),
    ("x-tWice", "two"),
    ("X_Hidden", "secret"),
    ("Access-Control-Request-Headers", "X-A, X-B"),
    ("Access-Control-Request-Method", "PUT"),
    ("Content-MD5", "abc"),
    ("Content-Encoding", "gzip"),
]
FORM = ("Content-Type", "application/x-www-form-urlencoded")
RAW = {
    "plain": raw_request(),
    "browser": raw_request("/a%20b/%C3%BC?x=1&x=2&y=%FF", fields=BROWSER),
    "bad path": raw_request("/%ff/%2e%2e/a%2Fb;c"),
    "two slashes": raw_request("//evil.example/x"),
    "dots": raw_request("/a/../b/./c"),
    "empty query": raw_request("/a?"),
    "default port": raw_request(host="example.com:80"),
    "other port": raw_request(host="EXAMPLE.com:8080"),
    "ipv6": raw_request(host="[::1]:8080"),
    "odd host": raw_request(host="a_b"),
    "absolute": raw_request("http://other.example/p?q", fields=[("X", "y")]),
    "star": raw_request("*", "OPTIONS"),
    "form": raw_request("/?z=1", "POST", [FORM], b"a=1&b=%C3%BC&a=2"),
    "form in a get": raw_request("/?z=1", "GET", [FORM], b"a=1"),
    "json": raw_request("/", "PUT", [("content-type", "application/json; x=y")], b'{"a": 1}'),
    "no type": raw_request("/", "POST", [], b"bytes \xff"),
    "latin-1 field": raw_request(fields=[("X-Name", "Bj\xf6rk"), ("User-Agent", "\xe9")]),
    "chunked": raw_request("/", "POST", [FORM, ("Transfer-Encoding", "chunked")])
    + b"3\r\na=1\r\n2\r\n&b\r\n0\r\n\r\n",
    "chunked and empty": raw_request("/", "POST", [("Transfer-Encoding", "chunked")])
    + b"0\r\n\r\n",
    "multipart": raw_request(
        "/",
        "POST",
        [("Content-Type", "multipart/form-data; boundary=XX")],
        b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\nv\r\n--XX--\r\n',
    ),
    "lower method": raw_request(method="get"),
    "old": b"GET / HTTP/1.0\r\n\r\n",
}


def shown(request: Request, name: str) -> object:
    """A value that can be compared, or the exception that reading it raised."""
    try:
        value = getattr(request, name)
    except Exception as error:
        return type(error), str(error)
    if name == "headers":
        return sorted(value)
    return (type(value), repr(value)) if name == "user_agent" else value


def pair(raw: bytes, **options: object) -> tuple[Request, Request]:
    return (
        Request.from_exchange(received(raw, **options)),
        Request(received(raw, **options).environ()),
    )


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW)
def test_every_attribute_is_equal_for_both_origins(raw: bytes) -> None:
    direct, wsgi = pair(raw)
    different = {}
    for name in ATTRIBUTES:
        found, expected = shown(direct, name), shown(wsgi, name)
        if name in BY_TEXT:
            found, expected = str(found), str(expected)
        if found != expected:
            different[name] = (found, expected)
    assert not different


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW)
def test_the_attributes_do_not_depend_on_the_order_of_access(raw: bytes) -> None:
    forwards, backwards = pair(raw)[0], pair(raw)[0]
    names = [name for name in ATTRIBUTES if name not in ("form", "files", "data", "values")]
    first = {name: str(shown(forwards, name)) for name in names}
    last = {name: str(shown(backwards, name)) for name in reversed(names)}
    assert first == last


@pytest.mark.parametrize(
    "options",
    [
        {"scheme": "https"},
        {"peer": None},
        {"server": ("/run/app.sock", None)},
        {"server": ("::1", 8000), "scheme": "https"},
    ],
    ids=str,
)
@pytest.mark.parametrize("host", ["example.com:443", None])
def test_the_connection_is_described_equally_for_both_origins(
    options: dict[str, object], host: str | None
) -> None:
    raw = b"GET /x HTTP/1.0\r\n\r\n" if host is None else raw_request("/x", host=host)
    direct, wsgi = pair(raw, **options)
    for name in ("url", "host", "is_secure", "remote_addr", "server", "access_route", "scheme"):
        assert getattr(direct, name) == getattr(wsgi, name), name


TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#?"))


@given(TEXT, TEXT)
def test_any_path_and_query_are_equal_for_both_origins(path: str, query: str) -> None:
    direct, wsgi = pair(raw_request(f"/{path}?{query}"))
    for name in ("path", "query_string", "args", "url", "base_url", "full_path"):
        assert getattr(direct, name) == getattr(wsgi, name), name


@given(st.binary())
def test_any_bytes_in_a_path_are_equal_for_both_origins(raw: bytes) -> None:
    encoded = "".join(f"%{byte:02x}" for byte in raw)
    direct, wsgi = pair(raw_request(f"/{encoded}?{encoded}"))
    assert direct.path == wsgi.path
    assert direct.args == wsgi.args
    assert direct.url == wsgi.url


def test_no_environ_is_built_for_an_ordinary_request() -> None:
    exchange = received(RAW["form"])
    exchange.environ = lambda: pytest.fail("an environ was built")  # type: ignore[method-assign]
    request = Request.from_exchange(exchange)  # type: ignore[arg-type]
    for name in ATTRIBUTES:
        if not name.startswith("is_") and name != "remote_user":
            getattr(request, name)
    assert request.form["b"] == "ü"


def test_the_environ_is_that_of_the_exchange_and_has_the_request() -> None:
    exchange = received(RAW["plain"])
    request = Request.from_exchange(exchange)  # type: ignore[arg-type]
    assert request.environ is exchange.environ()
    assert request.environ["werkzeug.request"] is request


def test_the_environ_of_a_request_without_an_exchange_is_its_own() -> None:
    environ = received(RAW["plain"]).environ()
    assert Request(environ).environ is environ


def test_the_headers_of_an_exchange_cannot_be_changed() -> None:
    request = pair(RAW["plain"])[0]
    with pytest.raises(TypeError):
        request.headers["X"] = "y"


@pytest.mark.parametrize("key", ["X-Missing", "content-type", 0])
def test_a_missing_header_raises_the_same_error_for_both_origins(key: Any) -> None:
    raised = []
    for request in pair(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"):
        with pytest.raises(KeyError) as caught:
            request.headers[key]
        raised.append((type(caught.value), caught.value.args))
    assert raised[0] == raised[1]


def test_the_headers_of_a_request_cannot_be_copied() -> None:
    for request in pair(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"):
        with pytest.raises(TypeError, match="copies"):
            request.headers.copy()
        with pytest.raises(TypeError, match="copies"):
            request.headers | {"X": "y"}


def test_the_number_of_stored_header_names_is_limited() -> None:
    for number in range(origin_exchange.MAX_TITLES + 50):
        exchange = received(raw_request(fields=[(f"X-{number}", "v")]))
        assert f"X-{number}" in Request.from_exchange(exchange).headers  # type: ignore[arg-type]
    assert len(origin_exchange._TITLES) <= origin_exchange.MAX_TITLES


class Unread(io.BytesIO):
    """A body that is being received, from a client that disconnects after it."""

    def seekable(self) -> bool:
        return False

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if not data:
            raise ConnectionResetError("gone")
        return data


def with_unread_body(content: bytes, size: int | None) -> Request:
    framing = ("Transfer-Encoding", "chunked")
    head = received(raw_request("/", "POST", [framing]) + b"0\r\n\r\n").head
    exchange = RawExchange(head, Unread(content), size)
    return Request.from_exchange(exchange)  # type: ignore[arg-type]


def test_an_unread_body_above_the_limit_is_refused() -> None:
    request = with_unread_body(b"0123456789", None)
    request.max_content_length = 4
    with pytest.raises(RequestEntityTooLarge):
        request.get_data()


@pytest.mark.parametrize("size", [None, 20])
def test_a_client_that_disconnects_during_the_body_is_not_an_application_error(
    size: int | None,
) -> None:
    request = with_unread_body(b"0123456789", size)
    assert request.stream.read(10) == b"0123456789"
    with pytest.raises(ClientDisconnected):
        request.stream.read(10)


def test_an_unread_body_ends_at_its_declared_length() -> None:
    assert with_unread_body(b"0123456789next", 10).get_data() == b"0123456789"


def test_a_received_body_above_the_limit_is_refused_before_it_is_read() -> None:
    request = pair(RAW["form"])[0]
    request.max_content_length = 3
    with pytest.raises(RequestEntityTooLarge):
        request.form  # noqa: B018


FORM = ("Content-Type", "application/x-www-form-urlencoded")


def form_request(body: bytes) -> bytes:
    return raw_request("/", "POST", [FORM], body=body)


@given(st.binary(max_size=40) | st.text("ab=&%+4é", max_size=40).map(str.encode))
def test_any_form_is_equal_for_both_origins(body: bytes) -> None:
    raw = form_request(body)
    direct = Request.from_exchange(received(raw))
    wsgi = Request(received(raw).environ())
    assert list(direct.form.lists()) == list(wsgi.form.lists())
    assert (direct.files, direct.get_data()) == (wsgi.files, wsgi.get_data())


def test_a_subclass_can_replace_the_form_parser() -> None:
    class Parser(FormDataParser):
        def parse(self, stream: Any, *args: Any) -> Any:
            return stream, {"own": stream.read()}, {}

    class ByClass(Request):
        form_data_parser_class = Parser

    class ByMethod(Request):
        def make_form_data_parser(self) -> FormDataParser:
            return Parser()

    for kind in (ByClass, ByMethod):
        request = kind.from_exchange(received(form_request(b"a=1")))
        assert request.form == {"own": b"a=1"}


REPLACED = {
    "mimetype": property(lambda self: "application/json"),
    "want_form_data_parsed": property(lambda self: False),
    "stream": property(lambda self: io.BytesIO(b"z=9")),
    "make_form_data_parser": lambda self: FormDataParser(max_content_length=0),
}


@pytest.mark.parametrize("name", REPLACED)
def test_steps_of_parsing_can_be_replaced_on_the_class_later(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Own(Request):
        pass

    def form(request: Request) -> Any:
        try:
            return request.form.to_dict()
        except RequestEntityTooLarge:
            return None

    raw = form_request(b"a=1")
    assert form(Own.from_exchange(received(raw))) == {"a": "1"}
    for owner in (Own, Request):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, REPLACED[name])
            found = form(Own.from_exchange(received(raw)))
            assert found == form(Own(received(raw).environ())) != {"a": "1"}
    assert form(Own.from_exchange(received(raw))) == {"a": "1"}


def test_a_subclass_can_disable_form_parsing() -> None:
    class NoForms(Request):
        want_form_data_parsed = False  # type: ignore[assignment]

    request = NoForms.from_exchange(received(form_request(b"a=1")))
    assert (len(request.form), request.get_data()) == (0, b"a=1")


def test_a_received_form_above_the_limit_is_refused() -> None:
    request = Request.from_exchange(received(form_request(b"a=1")))
    request.max_content_length = 2
    with pytest.raises(RequestEntityTooLarge):
        request.form  # noqa: B018


def test_cached_data_can_still_be_parsed_as_a_form() -> None:
    request = Request.from_exchange(received(form_request(b"a=1")))
    assert request.get_data(cache=True) == b"a=1"
    assert request.form["a"] == "1"


def test_parsed_fields_are_reused_on_the_same_connection_only() -> None:
    raw = raw_request(fields=[("Cookie", "a=1")])
    connection = Machine(Limits())
    first = connection.receive(raw)
    assert isinstance(first, RequestHead)
    assert Request.from_exchange(RawExchange(first, None, 0)).cookies["a"] == "1"
    connection.whole_response("200 OK", [], b"", b"")
    second = connection.receive(raw)
    assert isinstance(second, RequestHead)
    assert second.found is first.found is not None
    other = Machine(Limits()).receive(raw)
    assert isinstance(other, RequestHead)
    assert other.found is None


def test_a_request_with_other_fields_has_its_own_values() -> None:
    connection = Machine(Limits())
    for value in "123":
        head = connection.receive(raw_request(fields=[("Cookie", f"a={value}"), ("X-A", value)]))
        assert isinstance(head, RequestHead)
        request = Request.from_exchange(RawExchange(head, None, 0))
        assert (request.cookies["a"], request.headers["X-A"]) == (value, value)
        connection.whole_response("200 OK", [], b"", b"")


def test_changing_the_fields_of_one_request_does_not_change_the_next() -> None:
    raw = raw_request(fields=[("X-A", "1")])
    Request.from_exchange(received(raw)).headers._list.clear()
    assert Request.from_exchange(received(raw)).headers["X-A"] == "1"
