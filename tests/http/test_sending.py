"""Sending files, compared with Werkzeug: the same file and request give the same response."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import werkzeug.utils
import werkzeug.wrappers
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import create_environ

from carboy.gateway.interface import is_file_body
from carboy.http.exceptions import NotFound, RequestedRangeNotSatisfiable
from carboy.http.request.request import Request
from carboy.http.response import sending as ours
from carboy.http.response.response import Response
from carboy.http.response.sending import send_file, send_from_directory
from exchanges import raw_request, received

THEIRS = werkzeug.utils
TIME = 1_000_000_000.5


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("files")
    files = {
        "a b.txt": b"0123456789",
        "x.tar.gz": b"x",
        "nothing": b"",
        "ü.html": b"<p>",
        "sub/deep.css": b"a{}",
        "no-extension": b"x",
    }
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (TIME, TIME))
    (directory.parent / "outside.txt").write_bytes(b"secret")
    return directory


def outcome(send: Callable[[], Any], environ: dict[str, Any]) -> Any:
    """Status, headers and content, or the name of the exception."""
    try:
        response = send()
    except Exception as error:
        return type(error).__name__
    body, status, headers = response.get_wsgi_response(environ)
    content = b"".join(body)
    response.close()
    return status, [field for field in headers if field[0] not in ("Date", "Expires")], content


def environ_of(headers: dict[str, str], method: str = "GET") -> dict[str, Any]:
    return create_environ("/", method=method, headers=headers)


PATHS: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    ("a b.txt", {}, {}),
    ("a b.txt", {"as_attachment": True}, {}),
    ("a b.txt", {"download_name": 'ü "x".pdf'}, {}),
    ("a b.txt", {"as_attachment": True, "download_name": "x;y.pdf"}, {}),
    ("a b.txt", {"mimetype": "text/x-own"}, {}),
    ("a b.txt", {"etag": "own"}, {}),
    ("a b.txt", {"etag": False}, {}),
    ("a b.txt", {"last_modified": 5}, {}),
    ("a b.txt", {"last_modified": datetime(2020, 1, 1)}, {}),
    ("a b.txt", {"conditional": False}, {}),
    ("a b.txt", {"max_age": 60}, {}),
    ("a b.txt", {"max_age": 0}, {}),
    ("a b.txt", {"max_age": len}, {}),
    ("a b.txt", {"max_age": lambda path: None}, {}),
    ("a b.txt", {"use_x_sendfile": True}, {}),
    ("x.tar.gz", {}, {}),
    ("x.tar.gz", {"as_attachment": True}, {}),
    ("ü.html", {"as_attachment": True}, {}),
    ("no-extension", {}, {}),
    ("nothing", {}, {}),
    ("nothing", {}, {"Range": "bytes=0-"}),
    ("a b.txt", {}, {"Range": "bytes=2-4"}),
    ("a b.txt", {}, {"Range": "bytes=-3"}),
    ("a b.txt", {}, {"Range": "bytes=2-400"}),
    ("a b.txt", {}, {"Range": "bytes=20-"}),
    ("a b.txt", {}, {"Range": "bytes=2-4,6-7"}),
    ("a b.txt", {"conditional": False}, {"Range": "bytes=2-4"}),
    ("a b.txt", {}, {"If-None-Match": "*"}),
    ("a b.txt", {}, {"If-Modified-Since": "Sun, 09 Sep 2001 01:46:40 GMT"}),
    ("a b.txt", {}, {"If-Match": '"zz"'}),
    ("a b.txt", {}, {"If-Range": '"zz"', "Range": "bytes=1-2"}),
    ("a b.txt", {}, {"If-Range": "Sun, 09 Sep 2001 01:46:40 GMT", "Range": "bytes=1-2"}),
    ("missing", {}, {}),
    ("sub", {}, {}),
]


@pytest.mark.parametrize(
    ("name", "options", "headers"),
    PATHS,
    ids=[f"{name} {' '.join(options)} {headers}" for name, options, headers in PATHS],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_path_is_sent_as_in_werkzeug(
    root: Path, name: str, options: dict[str, Any], headers: dict[str, str], method: str
) -> None:
    environ = environ_of(headers, method)
    path = str(root / name)
    theirs = outcome(lambda: THEIRS.send_file(path, environ, **options), environ)
    assert outcome(lambda: send_file(path, environ, **options), environ) == theirs


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mimetype": "text/html"},
        {"download_name": "f.bin"},
        {"mimetype": "a/b", "as_attachment": True},
        {"mimetype": "a/b", "as_attachment": True, "download_name": "x"},
        {"mimetype": "a/b", "max_age": lambda path: 5 if path is None else 6},
        {"mimetype": "a/b", "etag": "own", "last_modified": 10},
        {"mimetype": "a/b", "use_x_sendfile": True},
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("range_", [None, "bytes=2-4", "bytes=99-"])
def test_an_open_file_is_sent_as_in_werkzeug(
    root: Path, options: dict[str, Any], range_: str | None
) -> None:
    environ = environ_of({"Range": range_} if range_ else {})
    for make in (lambda: io.BytesIO(b"0123456789"), lambda: (root / "a b.txt").open("rb")):
        found = []
        for module in (werkzeug.utils, ours):
            with make() as file:
                found.append(outcome(lambda: module.send_file(file, environ, **options), environ))
        assert found[0] == found[1]


def test_text_files_are_refused(root: Path) -> None:
    with pytest.raises(ValueError):
        send_file(io.StringIO("x"), {}, "text/plain")  # type: ignore[arg-type]
    with (root / "a b.txt").open() as file, pytest.raises(ValueError):
        send_file(file, {}, "text/plain")  # type: ignore[arg-type]


NAMES = [
    "a b.txt",
    "sub/deep.css",
    "./a b.txt",
    "sub/../a b.txt",
    "../outside.txt",
    "sub/../../outside.txt",
    "/etc/passwd",
    "",
    ".",
    "..",
    "sub",
    "missing",
    "a\0b",
    "a b.txt/",
    "a b.txt/x",
    "x" * 300,
    "\\etc\\passwd",
]


@pytest.mark.parametrize("name", NAMES)
def test_the_files_of_a_directory_are_sent_as_in_werkzeug(root: Path, name: str) -> None:
    environ = environ_of({})
    theirs = outcome(lambda: THEIRS.send_from_directory(str(root), name, environ), environ)
    assert outcome(lambda: send_from_directory(root, name, environ), environ) == theirs


@given(st.text("ab./\\ü\0 ", max_size=12))
def test_a_path_outside_the_directory_is_not_found(name: str) -> None:
    try:
        response = send_from_directory(Path(__file__).parent, name, environ_of({}))
    except NotFound:
        return
    with response:
        assert Path(response.response.file.name).parent.is_relative_to(Path(__file__).parent)


def test_a_relative_directory_is_relative_to_the_root_path(root: Path) -> None:
    environ = environ_of({})
    for module in (werkzeug.utils, ours):
        response = module.send_from_directory("sub", "deep.css", environ, _root_path=str(root))
        with response:
            assert b"".join(response.response) == b"a{}"


@pytest.fixture
def request_(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Request]]:
    def make(**headers: str) -> Request:
        fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
        exchange = received(raw_request(fields=fields))
        monkeypatch.setattr(exchange, "environ", lambda: pytest.fail("an environ was built"))
        return Request.from_exchange(exchange)  # type: ignore[arg-type]

    return make


def test_the_kernel_can_send_a_file_on_the_direct_lane(
    root: Path, request_: Callable[..., Request]
) -> None:
    request = request_()
    response = send_file(root / "a b.txt", request)
    status, headers, body, close = response.answer(request)
    assert is_file_body(body)
    assert (status, body.offset, body.count) == ("200 OK", 0, None)
    assert os.pread(body.file.fileno(), 100, body.offset) == b"0123456789"
    assert b"".join(body) == b"0123456789"
    close()
    assert body.file.closed


def test_the_kernel_can_send_a_range_on_the_direct_lane(
    root: Path, request_: Callable[..., Request]
) -> None:
    request = request_(Range="bytes=3-5")
    response = send_file(root / "a b.txt", request)
    status, headers, body, close = response.answer(request)
    assert (status, body.offset, body.count) == ("206 PARTIAL CONTENT", 3, 3)
    assert dict(headers)["Content-Range"] == "bytes 3-5/10"
    assert b"".join(body) == b"345"
    close()


def test_an_unchanged_file_is_closed_and_not_sent(
    root: Path, request_: Callable[..., Request]
) -> None:
    request = request_(If_None_Match="*")
    response = send_file(root / "a b.txt", request)
    status, headers, body, close = response.answer(request)
    assert (status, body) == ("304 NOT MODIFIED", b"")
    close()
    assert response.response.file.closed


def test_a_file_is_closed_if_the_range_is_not_satisfiable(
    root: Path, request_: Callable[..., Request]
) -> None:
    # A file that is not closed causes a warning, which is an error in tests.
    with pytest.raises(RequestedRangeNotSatisfiable):
        send_file(root / "a b.txt", request_(Range="bytes=99-"))


def test_the_servers_own_wrapper_is_used_for_a_whole_file(root: Path) -> None:
    class Wrapper:
        def __init__(self, file: Any, size: int) -> None:
            self.file = file

        def close(self) -> None:
            self.file.close()

    environ = {**environ_of({}), "wsgi.file_wrapper": Wrapper}
    with send_file(root / "a b.txt", environ) as response:
        assert isinstance(response.response, Wrapper)


def test_a_range_of_a_file_in_the_servers_wrapper_can_be_sent_by_the_kernel(root: Path) -> None:
    from carboy.gateway.wsgi import ServerFile

    environ = {**environ_of({"Range": "bytes=3-5"}), "wsgi.file_wrapper": ServerFile}
    with send_file(root / "a b.txt", environ) as response:
        body = response.response
        assert is_file_body(body)
        assert (body.offset, body.count) == (3, 3)


def test_the_class_of_the_response_can_be_changed(root: Path) -> None:
    class Own(Response):
        pass

    with send_file(root / "a b.txt", environ_of({}), response_class=Own) as response:
        assert type(response) is Own
