from __future__ import annotations

import io
import re
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import werkzeug.datastructures
import werkzeug.test

from carboy.http.containers.multidict import MultiDict
from carboy.http.fields.auth import Authorization
from carboy.http.fields.headers import Headers
from carboy.http.forms.file_storage import FileStorage
from carboy.http.request.environ_builder import EnvironBuilder
from carboy.http.request.request import Request
from carboy.testing import create_environ

BOUNDARY = re.compile(rb"(?:-{15}WerkzeugFormPart_[0-9.]+(?:e-[0-9]+)?|carboy-[0-9a-f]+)")

TARGET = {"SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REQUEST_URI", "RAW_URI"}


def made(builder: Any, *args: Any, **kwargs: Any) -> Any:
    """The environ and body of a builder without values that vary, or the error."""
    try:
        made = builder(*args, **kwargs)
        environ = made.get_environ()
    except (TypeError, ValueError, AttributeError) as error:
        return type(error).__name__
    body = BOUNDARY.sub(b"BOUNDARY", environ.pop("wsgi.input").read())
    environ.pop("wsgi.errors")
    if b"BOUNDARY" in body:
        environ.pop("CONTENT_LENGTH")
        environ["CONTENT_TYPE"] = BOUNDARY.sub(b"BOUNDARY", environ["CONTENT_TYPE"].encode())
    made.close()
    return environ, body


REQUESTS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {}),
    (("/a b/é?x=1&y=é",), {}),
    (("/a%20b%2Fc",), {}),
    (("/a?x=1",), {"query_string": {"y": 2}}),
    (("/a?x=1",), {"query_string": ""}),
    (("http://ex.com:8080/app/a?b=1",), {}),
    (("//foo/bar",), {}),
    (("/foo#bar?x",), {}),
    (("",), {}),
    (("/x?",), {}),
    (("/foo", "https://ex.com/app/"), {}),
    (("/foo", "https://ex.com:8443/a b"), {}),
    (("/foo", "https://ex.com/app?x"), {}),
    (("/foo", "https://ex.com/app#x"), {}),
    (("/x", "http://h:443/"), {}),
    ((), {"query_string": {"a": ["1", "2"], "b": "é &="}}),
    ((), {"query_string": "a=é b"}),
    ((), {"json": {"a": 1, "é": 2}}),
    ((), {"json": {"a": 1}, "data": "x"}),
    ((), {"json": [], "content_type": "application/foo"}),
    ((), {"json": {}, "headers": {"Content-Type": "a/b"}}),
    ((), {"data": "é", "method": "POST"}),
    ((), {"data": b"abc", "method": "POST", "content_type": "text/plain"}),
    ((), {"data": b"", "method": "POST"}),
    ((), {"data": {}, "method": "POST"}),
    ((), {"data": {}, "method": "POST", "content_type": "application/x-www-form-urlencoded"}),
    ((), {"data": {}, "method": "POST", "content_type": "multipart/form-data"}),
    ((), {"data": {"a": 1, "b": ["x", "y"], "c": "é"}, "method": "POST"}),
    ((), {"data": {"a": True, "b": None}, "method": "POST"}),
    ((), {"data": {"a": 1}, "method": "POST", "content_type": "a/b"}),
    ((), {"data": {"a": 1}, "method": "POST", "mimetype": "multipart/form-data"}),
    ((), {"data": io.BytesIO(b"abc"), "method": "POST"}),
    ((), {"data": io.StringIO("é"), "method": "POST"}),
    ((), {"input_stream": io.BytesIO(b"abc"), "method": "POST"}),
    ((), {"input_stream": io.BytesIO(b"abc"), "data": "x"}),
    ((), {"content_length": 5, "method": "POST"}),
    ((), {"mimetype": "text/html", "method": "POST"}),
    ((), {"headers": {"X-Foo": "a", "content-type": "x/y", "Host": "hh"}}),
    ((), {"headers": [("X-Foo", "a"), ("X-Foo", "b"), ("X-Bar", "é")]}),
    ((), {"headers": {"X-Foo": 3}}),
    ((), {"auth": ("u", "p:é")}),
    ((), {"environ_base": {"REMOTE_ADDR": "1.2.3.4", "HTTP_X": "q"}}),
    ((), {"environ_overrides": {"x.y": 1, "REQUEST_METHOD": "Z"}}),
    ((), {"multithread": True, "multiprocess": True, "run_once": True}),
]


@pytest.mark.parametrize(
    ("args", "kwargs"),
    REQUESTS,
    ids=lambda value: re.sub(r" object at 0x\w+", "", repr(value))[:60],
)
def test_the_environ_is_that_of_werkzeug(args: Any, kwargs: Any) -> None:
    results = []
    for builder in (werkzeug.test.EnvironBuilder, EnvironBuilder):
        for value in kwargs.values():
            if hasattr(value, "seek"):
                value.seek(0)
        results.append(made(builder, *args, **kwargs))
    assert results[1] == results[0]


OURS = SimpleNamespace(FileStorage=FileStorage, Headers=Headers)


@pytest.mark.parametrize(
    "values",
    [
        lambda library: {"f": (io.BytesIO(b"abc"), "x.txt"), "a": 1},
        lambda library: {"f": (io.BytesIO(b"abc"), "x.txt", "text/html")},
        lambda library: {"f": io.BytesIO(b"abc")},
        lambda library: {"f": [(io.BytesIO(b"abc"), "x.txt"), (io.BytesIO(b"d"), "yé.bin")]},
        lambda library: {"f": library.FileStorage(io.BytesIO(b"abc"), "x.png")},
        lambda library: {
            "f": library.FileStorage(
                io.BytesIO(b"abc"), "x.png", headers=library.Headers([("X-Y", "z")])
            )
        },
        lambda library: {"f": ["a", (io.BytesIO(b"1"), "n")]},
    ],
)
def test_files_are_sent_as_werkzeug_sends_them(values: Any) -> None:
    theirs = made(werkzeug.test.EnvironBuilder, data=values(werkzeug.datastructures), method="POST")
    ours = made(EnvironBuilder, data=values(OURS), method="POST")
    assert ours[0] == theirs[0]
    assert sorted(ours[1].split(b"\r\n--BOUNDARY")) == sorted(theirs[1].split(b"\r\n--BOUNDARY"))


def test_an_empty_file_has_a_line_end_which_werkzeug_omits() -> None:
    _, body = made(EnvironBuilder, data={"f": (io.BytesIO(b""), "")}, method="POST")
    assert body.endswith(b"octet-stream\r\n\r\n\r\n--BOUNDARY--\r\n")


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "a\x00b", "\x7f"])
def test_control_characters_in_headers_are_refused(bad: str) -> None:
    with pytest.raises(ValueError):
        EnvironBuilder(headers={"X-Foo": bad})
    with pytest.raises(ValueError):
        EnvironBuilder(headers={f"X-{bad}": "a"})
    with pytest.raises(ValueError):
        EnvironBuilder(content_type=f"text/{bad}")


def test_cookie_headers_are_joined_by_semicolons_while_werkzeug_uses_commas() -> None:
    builder = EnvironBuilder(headers=[("Cookie", "a=1"), ("Cookie", "b=2")])
    assert builder.get_environ()["HTTP_COOKIE"] == "a=1; b=2"


def test_an_ipv6_host_keeps_its_brackets_while_werkzeug_splits_it() -> None:
    environ = create_environ("/", "http://[::1]:8080/")
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("[::1]", "8080")
    assert create_environ("/", "http://[::1]/")["SERVER_PORT"] == "80"


def test_the_parts_can_be_changed_before_the_environ_is_made() -> None:
    builder = EnvironBuilder(method="POST")
    builder.args["a"] = 1
    builder.form["x"] = 2
    builder.files.add_file("f", io.BytesIO(b"1"), "n.txt")
    builder.base_url = "https://q/r"
    assert builder.content_type == "multipart/form-data"
    assert builder.query_string == "a=1"
    assert (builder.server_name, builder.server_port, builder.script_root) == ("q", 443, "/r")
    assert builder.base_url == "https://q/r/"


def test_a_stream_and_a_form_exclude_each_other() -> None:
    builder = EnvironBuilder(data={"a": 1})
    builder.input_stream = io.BytesIO(b"x")
    with pytest.raises(AttributeError, match="stream"):
        _ = builder.form
    with pytest.raises(AttributeError, match="stream"):
        _ = builder.files
    builder.form = MultiDict({"b": "2"})
    assert builder.input_stream is None


def test_a_query_is_either_text_or_values() -> None:
    builder = EnvironBuilder("/?a=1")
    with pytest.raises(AttributeError, match="query_string"):
        _ = builder.args
    builder.args = MultiDict({"b": 2})
    assert builder.query_string == "b=2"
    builder.query_string = "c=3"
    assert builder.get_environ()["QUERY_STRING"] == "c=3"


def test_the_media_type_has_parameters() -> None:
    builder = EnvironBuilder(content_type="text/plain; charset=utf-8")
    assert builder.mimetype == "text/plain"
    assert dict(builder.mimetype_params) == {"charset": "utf-8"}
    assert EnvironBuilder().mimetype is None


def test_a_builder_can_be_made_from_an_environ() -> None:
    first = EnvironBuilder(
        "/é%2Fx?x=%20",
        "https://h:81/s",
        method="POST",
        headers={"X-A": "b"},
        data=b"abc",
        content_type="t/p",
    ).get_environ()
    again = EnvironBuilder.from_environ(first).get_environ()
    assert again["wsgi.input"].read() == b"abc"
    ignored = {"wsgi.input", "REQUEST_URI", "RAW_URI"}
    assert {k: v for k, v in again.items() if k not in ignored} == {
        k: v for k, v in first.items() if k not in ignored
    }


@pytest.mark.parametrize(
    "path", ["/\u3131", "/a b", "/a%20b", "/[x]", "/a%3Fb", "/\U0001f600", "/\udcff"]
)
def test_a_target_is_the_same_when_made_from_an_environ(path: str) -> None:
    first = create_environ("/")
    first["PATH_INFO"] = path.encode("utf-8", "surrogateescape").decode("latin-1")
    ours = EnvironBuilder.from_environ(first)
    theirs = werkzeug.test.EnvironBuilder.from_environ(first)
    assert (ours.path, ours.request_uri) == (theirs.path, theirs.request_uri)
    made = ours.get_environ()
    assert {k: made[k] for k in made if k in TARGET} == {
        k: value for k, value in theirs.get_environ().items() if k in TARGET
    }


@pytest.mark.parametrize("path", ["/a?b", "/a#b", "/a\nb"])
def test_a_path_is_kept_when_made_from_an_environ(path: str) -> None:
    first = {**create_environ("/"), "PATH_INFO": path}
    assert EnvironBuilder.from_environ(first).get_environ()["PATH_INFO"] == path


@pytest.mark.parametrize(
    "url", ["http://\xfc.com:80/\xfc", "http://x/a b%20", "http://x/[a]", "/\xfc"]
)
def test_a_base_url_may_have_other_characters_than_ascii(url: str) -> None:
    ours = EnvironBuilder("/p", url)
    theirs = werkzeug.test.EnvironBuilder("/p", url)
    assert (ours.base_url, ours.script_root) == (theirs.base_url, theirs.script_root)


def test_parts_are_replaced_when_made_from_an_environ() -> None:
    builder = EnvironBuilder.from_environ(create_environ("/a", method="POST"), method="PUT")
    assert (builder.method, builder.path) == ("PUT", "/a")


def test_an_authorization_can_be_given() -> None:
    environ = create_environ(auth=Authorization("bearer", token="x"))
    assert environ["HTTP_AUTHORIZATION"] == "Bearer x"


def test_a_builder_makes_requests() -> None:
    class Own(Request):
        pass

    with EnvironBuilder("/é?x=1", method="POST", data={"a": "1"}) as builder:
        request = builder.get_request()
        assert (request.path, request.args["x"], request.form["a"]) == ("/é", "1", "1")
        assert type(builder.get_request(Own)) is Own


def test_from_values_works_before_the_testing_package_is_imported() -> None:
    program = (
        "import sys; from carboy.http.request.request import Request;"
        "print(Request.from_values('/x?a=1').args['a'], 'carboy.testing' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("1 False\n", "")


def test_a_request_can_be_made_from_values() -> None:
    assert Request.from_values("/x?a=1", method="PUT").args["a"] == "1"


def test_close_closes_the_files_once() -> None:
    file = io.BytesIO(b"x")
    builder = EnvironBuilder(data={"f": (file, "n")})
    builder.close()
    builder.close()
    assert file.closed and builder.closed


@pytest.mark.parametrize("content_type", ["text/plain; charset=x", None])
def test_parameters_of_the_type_can_be_changed(content_type: str | None) -> None:
    seen = []
    for kind in (EnvironBuilder, werkzeug.test.EnvironBuilder):
        builder = kind(content_type=content_type)
        builder.mimetype_params["a"] = "b c"
        seen.append(list(builder.headers))
    assert seen[0] == seen[1]
