"""Request, compared with Werkzeug: the same environ gives the same values."""

from __future__ import annotations

import io
import string
from typing import Any

import pytest
import werkzeug.datastructures
import werkzeug.exceptions
import werkzeug.wrappers
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import create_environ

from black_box import plain
from carboy import Carboy, jsonify, request
from carboy.http import exceptions
from carboy.http.fields.headers import Headers
from carboy.http.request.request import Request
from carboy.http.response.response import Response
from exchanges import raw_request, received

URL_PARTS = (
    "method scheme server root_path path query_string remote_addr url base_url root_url host_url"
    " host is_secure script_root url_root full_path"
)
FORM = "application/x-www-form-urlencoded"


def values_of(request: Any, names: str) -> dict[str, Any]:
    found = {}
    for name in names.split():
        try:
            found[name] = getattr(request, name)
        except Exception as error:
            found[name] = type(error).__name__
    return found


def assert_same(environ: dict[str, Any], names: str) -> None:
    theirs = values_of(werkzeug.wrappers.Request(dict(environ)), names)
    assert values_of(Request(dict(environ)), names) == theirs


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"REQUEST_METHOD": "get"},
        {"PATH_INFO": ""},
        {"PATH_INFO": "//x//y"},
        {"PATH_INFO": "x"},
        {"SCRIPT_NAME": "/r/"},
        {"SCRIPT_NAME": "//r//"},
        {"PATH_INFO": "/\xff\xc3\xbc"},
        {"PATH_INFO": "/a?b#c%20\"'<>;=&+@:é%2f%25"},
        {"QUERY_STRING": ""},
        {"QUERY_STRING": "a=%ff&b=1#x"},
        {"HTTP_HOST": "foo:80"},
        {"HTTP_HOST": "foo:443"},
        {"HTTP_HOST": "foo:443", "wsgi.url_scheme": "https"},
        {"HTTP_HOST": "b ad"},
        {"HTTP_HOST": ""},
        {"HTTP_HOST": "[::1]:80"},
        {"HTTP_HOST": "xn--tda.com"},
        {"HTTP_HOST": "ex%20.com"},
        {"SERVER_PORT": "abc"},
        {"REMOTE_ADDR": "1.2.3.4"},
        {"REMOTE_USER": "me"},
    ],
    ids=str,
)
def test_the_parts_of_the_url_are_those_of_werkzeug(change: dict[str, str]) -> None:
    environ = create_environ("/a/b%20c/ü?x=1&y=ü", "http://localhost:8080/root/")
    assert_same({**environ, **change}, URL_PARTS)


def test_a_request_without_host_uses_the_server_name() -> None:
    environ = create_environ("/x")
    del environ["HTTP_HOST"]
    for name, port in (("web", "80"), ("web", "81"), ("::1", "80"), ("/run/x.sock", "")):
        assert_same({**environ, "SERVER_NAME": name, "SERVER_PORT": port}, URL_PARTS)


@given(st.text(max_size=12), st.text(max_size=12), st.text(string.printable, max_size=8))
def test_any_url_is_that_of_werkzeug(path: str, query: str, host: str) -> None:
    environ = {
        **create_environ("/"),
        "PATH_INFO": "/" + path.encode("utf-8", "surrogatepass").decode("latin-1"),
        "QUERY_STRING": query.encode("utf-8", "replace").decode("latin-1"),
        "HTTP_HOST": host,
    }
    names = "path url base_url root_url query_string args"
    # A host with two ports is invalid. Werkzeug removes one and accepts the host.
    if host.count(":") < 2:
        names += " host"
        assert_same(environ, names)


HEADERS = {
    "Accept": "text/html;q=0.5, */*",
    "Accept-Charset": "utf-8, latin1;q=0.1",
    "Accept-Encoding": "gzip",
    "Accept-Language": "de-AT, en;q=0.1",
    "Cache-Control": "no-cache, max-age=5, max-stale",
    "Pragma": "no-cache",
    "If-Match": '"a", W/"b"',
    "If-None-Match": "*",
    "If-Modified-Since": "Sun, 09 Sep 2001 01:46:40 GMT",
    "If-Unmodified-Since": "nonsense",
    "If-Range": 'W/"x"',
    "Range": "bytes=1-4,-5",
    "Cookie": 'a=1; b="x\\054y"; =nameless; c; a=2',
    "User-Agent": "Mozilla/5.0",
    "Authorization": "Basic dXNlcjpwYXNz",
    "Referer": "http://r/",
    "Origin": "http://o",
    "Content-Type": "application/JSON; charset=utf-8",
    "Content-Encoding": "br",
    "Content-MD5": "x",
    "Date": "Sun, 09 Sep 2001 01:46:40 GMT",
    "Max-Forwards": "7",
    "Access-Control-Request-Headers": "a, b",
    "Access-Control-Request-Method": "PUT",
    "X-Forwarded-For": "1.1.1.1, 2.2.2.2",
}
FIELD_ATTRIBUTES = (
    "accept_mimetypes accept_charsets accept_encodings accept_languages cache_control pragma"
    " if_match if_none_match if_modified_since if_unmodified_since if_range range cookies"
    " user_agent authorization referrer origin content_type content_encoding content_md5 date"
    " max_forwards access_control_request_headers access_control_request_method access_route"
    " mimetype mimetype_params is_json content_length"
)


@pytest.mark.parametrize("headers", [HEADERS, {}], ids=["all", "none"])
def test_the_header_attributes_are_those_of_werkzeug(headers: dict[str, str]) -> None:
    environ = create_environ("/", headers=headers)
    ours, theirs = Request(environ), werkzeug.wrappers.Request(environ)
    for name in FIELD_ATTRIBUTES.split():
        assert str(getattr(ours, name)) == str(getattr(theirs, name)), name


@pytest.mark.parametrize("name", ["content_type", "referrer", "date", "remote_user"])
def test_attributes_of_header_fields_are_read_only(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(Request(create_environ("/")), name, "x")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
def test_values_include_the_form_as_in_werkzeug(method: str) -> None:
    environ = create_environ("/?a=1", method=method, data=b"a=2&b=3", content_type=FORM)
    theirs = werkzeug.wrappers.Request({**environ, "wsgi.input": io.BytesIO(b"a=2&b=3")})
    ours = Request({**environ, "wsgi.input": io.BytesIO(b"a=2&b=3")})
    assert ours.values.to_dict(flat=False) == theirs.values.to_dict(flat=False)


QUERIES = [
    b"", b"&", b"=", b"a", b"a=", b"a=b=c", b"a+b=%20+%2B", b"%ff=%fe", b"a;b=1", b"a=1&&b=2",
    b"a=%zz%4", b"a=%C3%BC%FF", b"x[0]=1", b"&a&", b"=x", b"%2b+=+%20", b"a=\xc3\xbc",
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_and_a_form_are_parsed_as_in_werkzeug(query: bytes) -> None:
    environ = create_environ("/", method="POST", data=query, content_type=FORM)
    environ["QUERY_STRING"] = query.decode("latin-1")
    theirs = werkzeug.wrappers.Request(environ)
    expected = list(theirs.args.items(multi=True)), list(theirs.form.items(multi=True))
    environ["wsgi.input"] = io.BytesIO(query)
    ours = Request(environ)
    assert (list(ours.args.items(multi=True)), list(ours.form.items(multi=True))) == expected


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=5))
def test_the_output_of_urlencode_is_parsed(pairs: list[tuple[str, str]]) -> None:
    from urllib.parse import urlencode

    query = urlencode(pairs, errors="surrogatepass").encode()
    environ = {**create_environ("/"), "QUERY_STRING": query.decode()}
    assert_same(environ, "args")


def test_bytes_that_are_not_utf8_stay_encoded_in_args() -> None:
    # Werkzeug answers 500 for such a query.
    environ = create_environ("/", method="POST", data=b"a=\xff", content_type=FORM)
    environ["QUERY_STRING"] = "a=\xff"
    request = Request(environ)
    assert (request.args["a"], len(request.form)) == ("%FF", 0)


def body_environ(**changes: Any) -> dict[str, Any]:
    environ = create_environ("/", method="POST", input_stream=io.BytesIO(b"0123456789"))
    environ.pop("CONTENT_LENGTH", None)
    return {**environ, **changes}


def outcome(request: Any, *calls: str) -> list[Any]:
    found: list[Any] = []
    for call in calls:
        try:
            value = eval(f"request.{call}", {"request": request})
        except Exception as error:
            value = type(error).__name__
        found.append(value if isinstance(value, bytes | str | None) else str(value))
    return found


@pytest.mark.parametrize(
    "calls",
    [
        ("get_data()", "get_data()", "data", "stream.read()"),
        ("get_data(cache=False)", "get_data()", "data"),
        ("data", "get_data()", "form"),
        ("stream.read(3)", "get_data()"),
        ("get_data(as_text=True)", "get_data()"),
        ("form", "data", "stream.read()"),
        ("stream.readline()", "stream.read()"),
    ],
)
@pytest.mark.parametrize(
    "changes",
    [
        {"CONTENT_LENGTH": "5"},
        {"CONTENT_LENGTH": "20"},
        {"CONTENT_LENGTH": "x"},
        {},
        {"wsgi.input_terminated": True},
        {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True},
        {"HTTP_TRANSFER_ENCODING": "chunked"},
    ],
    ids=str,
)
def test_the_body_is_read_as_in_werkzeug(changes: dict[str, Any], calls: tuple[str, ...]) -> None:
    theirs = werkzeug.wrappers.Request(body_environ(**changes))
    ours = Request(body_environ(**changes))
    assert outcome(ours, *calls) == outcome(theirs, *calls)


@pytest.mark.parametrize(
    "calls",
    [
        ("get_data()", "form['a']", "stream.read()", "data"),
        ("data", "form['a']", "get_data()"),
        ("form['b']", "get_data()", "stream.read()"),
        ("get_data(parse_form_data=True)", "form['a']"),
        ("stream.read()", "form"),
    ],
)
def test_data_and_form_share_the_body_as_in_werkzeug(calls: tuple[str, ...]) -> None:
    def environ() -> dict[str, Any]:
        return create_environ("/", method="POST", data=b"a=1&b=2", content_type=FORM)

    theirs = outcome(werkzeug.wrappers.Request(environ()), *calls)
    assert outcome(Request(environ()), *calls) == theirs


def test_a_declared_length_above_the_limit_is_refused() -> None:
    request = Request(body_environ(CONTENT_LENGTH="10"))
    request.max_content_length = 9
    with pytest.raises(exceptions.RequestEntityTooLarge):
        request.get_data()


def test_a_body_without_length_above_the_limit_is_refused_and_not_truncated() -> None:
    # Werkzeug returns the first bytes as the whole body.
    request = Request(body_environ(**{"wsgi.input_terminated": True}))
    request.max_content_length = 9
    with pytest.raises(exceptions.RequestEntityTooLarge):
        request.get_data()


def test_a_body_without_length_of_exactly_the_limit_is_accepted() -> None:
    request = Request(body_environ(**{"wsgi.input_terminated": True}))
    request.max_content_length = 10
    assert request.get_data() == b"0123456789"


def test_a_shallow_request_leaves_the_body_and_the_environ_unchanged() -> None:
    environ = body_environ(CONTENT_LENGTH="5")
    request = Request(environ, shallow=True)
    assert "werkzeug.request" not in environ
    with pytest.raises(RuntimeError):
        request.get_data()
    with pytest.raises(RuntimeError):
        request.form  # noqa: B018


def test_a_request_is_stored_in_its_environ_unless_disabled() -> None:
    environ = create_environ("/")
    environ.pop("werkzeug.request", None)
    Request(environ, populate_request=False)
    assert "werkzeug.request" not in environ
    assert Request(environ) is environ["werkzeug.request"]


JSON_CASES = [
    ("application/json", b'{"a": 1}'),
    ("application/json", b"{"),
    ("application/vnd.api+json", b"[1]"),
    ("text/plain", b"{}"),
    ("application/json", b""),
    ("application/json; charset=latin-1", '"ü"'.encode()),
    ("application/json", b"\xff"),
]
JSON_CALLS = [
    ("json",),
    ("get_json(silent=True)", "is_json", "get_json(force=True)", "json"),
    ("get_json(force=True)", "get_json(silent=True)", "json"),
    ("get_json(silent=True)", "json", "get_json(silent=True)"),
    ("get_json(cache=False)", "get_json()", "data"),
]


@pytest.mark.parametrize("calls", JSON_CALLS)
@pytest.mark.parametrize(("content_type", "body"), JSON_CASES)
def test_json_is_parsed_and_cached_as_in_werkzeug(
    content_type: str, body: bytes, calls: tuple[str, ...]
) -> None:
    def environ() -> dict[str, Any]:
        return create_environ("/", method="POST", data=body, content_type=content_type)

    theirs = outcome(werkzeug.wrappers.Request(environ()), *calls)
    assert outcome(Request(environ()), *calls) == theirs


@pytest.mark.parametrize(("content_type", "body"), [("application/json", b"{"), ("a/b", b"")])
def test_the_page_of_a_json_error_is_that_of_werkzeug(content_type: str, body: bytes) -> None:
    environ = create_environ("/", method="POST", data=body, content_type=content_type)
    with pytest.raises(werkzeug.exceptions.HTTPException) as theirs:
        werkzeug.wrappers.Request(environ).json  # noqa: B018
    environ["wsgi.input"] = io.BytesIO(body)
    with pytest.raises(exceptions.HTTPException) as ours:
        Request(environ).json  # noqa: B018
    assert ours.value.code == theirs.value.code
    assert ours.value.get_body() == theirs.value.get_body()


def test_only_trusted_hosts_are_accepted() -> None:
    request = Request(create_environ("/", "http://a.example"))
    request.trusted_hosts = [".example"]
    assert request.host == "a.example"
    other = Request(create_environ("/", "http://evil.test"))
    other.trusted_hosts = [".example"]
    with pytest.raises(exceptions.SecurityError):
        other.host  # noqa: B018


def test_the_types_of_parsed_values_can_be_changed() -> None:
    class Own(Request):
        parameter_storage_class = dict
        dict_storage_class = dict
        list_storage_class = tuple

    environ = create_environ("/?a=1&a=2", headers={"Cookie": "c=d", "X-Forwarded-For": "x"})
    request = Own(environ)
    assert (request.args, request.cookies) == ({"a": "2"}, {"c": "d"})
    assert request.access_route == ("x",)


def test_every_attribute_can_be_assigned() -> None:
    request = Request.from_exchange(received(raw_request("/a")))  # type: ignore[arg-type]
    request.path = "/b"  # type: ignore[assignment]
    assert request.base_url == "http://example.com/b"
    del request.path  # type: ignore[misc]
    assert request.path == "/a"


def test_a_decorated_function_is_a_wsgi_application_and_closes_its_request() -> None:
    from carboy.http.response.response import Response

    closed = []

    class Own(Request):
        def close(self) -> None:
            closed.append(self)

    @Own.application
    def app(request: Any) -> Response:
        return Response(f"hello {request.args['name']}")

    answer = Response.from_app(app, create_environ("/?name=you"))
    assert answer.data == b"hello you"
    failed = Response.from_app(app, create_environ("/"))
    assert failed.status_code == 400
    assert len(closed) == 2


def test_the_repr_of_a_request_has_its_url_and_method() -> None:
    request = Request(create_environ("/x?y=1", method="POST"))
    assert repr(request) == "<Request 'http://localhost/x?y=1' [POST]>"


def test_making_a_request_from_an_exchange_computes_nothing() -> None:
    request = Request.from_exchange(received(raw_request()))  # type: ignore[arg-type]
    assert list(vars(request)) == ["_exchange"]


def test_a_request_kept_after_its_connection_raises_client_disconnected() -> None:
    environ = create_environ(method="POST", data=b"late")
    environ["wsgi.input"].close()
    with pytest.raises(werkzeug.exceptions.ClientDisconnected):
        _ = werkzeug.wrappers.Request(dict(environ)).data
    for terminated in (False, True):  # Carboy's server sets wsgi.input_terminated
        environ["wsgi.input_terminated"] = terminated
        with pytest.raises(exceptions.ClientDisconnected):
            _ = Request(dict(environ)).data


@pytest.mark.parametrize("body", ["[" * 5000 + "]" * 5000, '{"a":' * 5000 + "1" + "}" * 5000])
@pytest.mark.parametrize("lane", ["wsgi", "direct"])
def test_json_that_is_nested_too_deeply_is_a_client_error(body: str, lane: str) -> None:
    # Werkzeug's RecursionError is a 500.
    app = Carboy("app")

    @app.post("/loud")
    def loud() -> Any:
        return jsonify(request.json)

    @app.post("/quiet")
    def quiet() -> Any:
        return jsonify(request.get_json(silent=True))

    client = app.test_client(lane=lane)
    for _ in range(3):
        assert client.post("/loud", data=body, content_type="application/json").status_code == 400
        found = client.post("/quiet", data=body, content_type="application/json")
        assert (found.status_code, found.json) == (200, None)


def test_json_of_a_response_that_is_nested_too_deeply_is_a_value_error() -> None:
    response = Response("[" * 5000 + "]" * 5000, mimetype="application/json")
    with pytest.raises(ValueError):
        response.get_json()
    assert response.get_json(silent=True) is None


@pytest.mark.parametrize(
    "lines", [["a=1", "b=2"], ["a=1", "a=2"], ["", "b=2"], ["a=1;", "b=2"], ['a="1', 'b=2"']]
)
def test_all_cookie_fields_of_assigned_headers_are_read(lines: list[str]) -> None:
    def cookies(request_class: Any, headers_class: Any) -> str:
        request = request_class(create_environ("/"))
        request.headers = headers_class([("Cookie", line) for line in lines])
        return plain(request.cookies)

    theirs = cookies(werkzeug.wrappers.Request, werkzeug.datastructures.Headers)
    assert cookies(Request, Headers) == theirs


@pytest.mark.parametrize("length", ["9" * 20, "9" * 400, "9" * 5000, "-1", "+5", "x", "", " 5 "])
def test_a_length_of_many_digits_is_read_as_in_werkzeug(length: str) -> None:
    environ = {**create_environ("/"), "CONTENT_LENGTH": length}
    if len(length) < 4300:
        assert_same(environ, "content_length")
    else:
        assert Request(environ).content_length == 0


def test_a_length_of_many_digits_is_above_every_maximum() -> None:
    environ = {**create_environ("/", method="POST", data=b"a=1"), "CONTENT_LENGTH": "9" * 30}
    request = Request(environ)
    request.max_content_length = 10
    with pytest.raises(exceptions.RequestEntityTooLarge):
        request.get_data()
