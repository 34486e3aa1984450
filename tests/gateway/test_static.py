"""Files of folders, answered before the application is called, over real sockets."""

from __future__ import annotations

import gzip
import os
import socket
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import carboy
from carboy.gateway import for_application
from carboy.gateway.entrance import entered
from carboy.server.static_files import StaticFiles, with_static_files
from live_asgi import body, only_http, start
from live_engine import Client, Live, Reply, eventually, served

LARGE = bytes(range(256)) * 2800
TEXT = b"body { color: red }\n" * 100
ASKED = b"the application"


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("X-Path", quote(environ["PATH_INFO"]))])
    return [ASKED]


def framework() -> carboy.Carboy:
    app = carboy.Carboy("static-test", static_folder=None)
    app.add_url_rule("/<path:path>", "any", lambda path: ASKED, methods=["GET", "POST"])
    return app


@only_http
async def asgi(scope: Any, receive: Any, send: Any) -> None:
    await send(start(200, (b"x-path", scope["path"].encode())))
    await send(body(ASKED))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    (root / "css").mkdir(parents=True)
    (root / "css" / "site.css").write_bytes(TEXT)
    (root / "large.bin").write_bytes(LARGE)
    (root / "empty.txt").write_bytes(b"")
    (root / "app.3f2a9c41.js").write_bytes(b"1")
    (root / "names with ü.txt").write_bytes(b"u")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    old = time.time() - 100
    for path in root.rglob("*"):
        os.utime(path, (old, old))
    return root


def serving(app: Any, folder: Path, prefix: str = "/assets", **settings: Any) -> Any:
    own = StaticFiles(static=(f"{prefix}={folder}",), **settings)
    return served(app, gateway=with_static_files(for_application(app), own), record=True)


@pytest.fixture
def live(folder: Path) -> Iterator[Live]:
    with serving(wsgi, folder) as live:
        yield live


def ask(live: Live, method: str, path: str, **fields: str) -> Reply:
    with live.client() as client:
        client.request(method, path, {k.replace("_", "-"): v for k, v in fields.items()})
        return client.reply(method)


@pytest.mark.parametrize("kind", ["wsgi", "direct", "asgi"])
def test_a_file_is_answered_without_the_application_and_other_paths_by_it(
    folder: Path, kind: str
) -> None:
    app = {"wsgi": wsgi, "direct": framework(), "asgi": asgi}[kind]
    gateway: Any = with_static_files(
        for_application(app), StaticFiles(static=(f"/assets={folder}",))
    )
    if kind == "asgi":
        gateway.start()
    try:
        with served(app, gateway=gateway) as live, live.client() as client:
            for _ in range(2):
                client.request("GET", "/assets/css/site.css")
                reply = client.reply()
                assert (reply.status, reply.body) == (200, TEXT)
                assert reply.headers["Content-Type"] == "text/css; charset=utf-8"
                assert reply.headers["Cache-Control"] == "no-cache"
                client.request("GET", "/assets/large.bin")
                assert client.reply().body == LARGE
                for path in ("/assets/missing.css", "/assets/route", "/assetsx", "/other.css"):
                    client.request("GET", path)
                    assert client.reply().body == ASKED
    finally:
        if kind == "asgi":
            gateway.stop(5)


def test_head_has_the_fields_of_get_and_no_content(live: Live) -> None:
    for path in ("/assets/css/site.css", "/assets/large.bin", "/assets/empty.txt"):
        got, head = ask(live, "GET", path), ask(live, "HEAD", path)
        for name in ("Content-Length", "Content-Type", "ETag", "Last-Modified", "Accept-Ranges"):
            assert head.headers[name] == got.headers[name]
        assert head.body == b""
    assert got.headers["Content-Length"] == "0"


def test_other_methods_are_for_the_application(live: Live) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask(live, method, "/assets/css/site.css").body == ASKED
    with live.client() as client:
        client.request("GET", "/assets/css/site.css", body=b"content")
        assert client.reply().body == ASKED


@pytest.mark.parametrize("path", ["css/site.css", "large.bin"])
def test_conditions_are_answered_with_304_and_412(live: Live, path: str) -> None:
    whole = ask(live, "GET", f"/assets/{path}")
    tag, date = whole.headers["ETag"], whole.headers["Last-Modified"]
    for fields in (
        {"If_None_Match": tag},
        {"If_None_Match": f'"other", W/{tag}'},
        {"If_None_Match": "*"},
        {"If_Modified_Since": date},
    ):
        reply = ask(live, "GET", f"/assets/{path}", **fields)
        assert (reply.status, reply.body, reply.headers["ETag"]) == (304, b"", tag)
        assert reply.headers["Content-Length"] is None
    for fields in (
        {"If_None_Match": '"other"', "If_Modified_Since": date},
        {"If_Modified_Since": "Mon, 01 Jan 1990 00:00:00 GMT"},
        {"If_Match": tag},
        {"If_Unmodified_Since": date},
    ):
        assert ask(live, "GET", f"/assets/{path}", **fields).status == 200
    for fields in (
        {"If_Match": '"other"'},
        {"If_Match": f"W/{tag}"},
        {"If_Unmodified_Since": "Mon, 01 Jan 1990 00:00:00 GMT"},
    ):
        assert ask(live, "GET", f"/assets/{path}", **fields).status == 412


@pytest.mark.parametrize(
    ("path", "content"), [("css/site.css", TEXT), ("large.bin", LARGE)], ids=["small", "large"]
)
def test_a_range_is_answered_with_206(live: Live, path: str, content: bytes) -> None:
    size = len(content)
    for text, first, stop in (
        ("0-0", 0, 1),
        ("10-99", 10, 100),
        ("100-", 100, size),
        ("-7", size - 7, size),
        (f"5-{size * 2}", 5, size),
        (f"-{size * 2}", 0, size),
    ):
        reply = ask(live, "GET", f"/assets/{path}", Range=f"bytes={text}")
        assert (reply.status, reply.body) == (206, content[first:stop])
        assert reply.headers["Content-Range"] == f"bytes {first}-{stop - 1}/{size}"
    refused = ask(live, "GET", f"/assets/{path}", Range=f"bytes={size}-")
    assert (refused.status, refused.headers["Content-Range"]) == (416, f"bytes */{size}")
    for text in ("bytes=9-1", "lines=1-2", "bytes=a-b", "bytes=", "bytes=0-9,5-20"):
        assert ask(live, "GET", f"/assets/{path}", Range=text).body == content
    assert ask(live, "HEAD", f"/assets/{path}", Range="bytes=0-0").status == 200


def test_if_range_decides_between_the_range_and_the_whole_file(live: Live) -> None:
    whole = ask(live, "GET", "/assets/css/site.css")
    tag, date = whole.headers["ETag"], whole.headers["Last-Modified"]
    for condition, status in (
        (tag, 206),
        (date, 206),
        ('"other"', 200),
        (f"W/{tag}", 200),
        ("Mon, 01 Jan 1990 00:00:00 GMT", 200),
    ):
        fields = {"Range": "bytes=0-3", "If_Range": condition}
        assert ask(live, "GET", "/assets/css/site.css", **fields).status == status


@pytest.mark.parametrize(
    ("path", "content"), [("css/site.css", TEXT), ("large.bin", LARGE)], ids=["small", "large"]
)
def test_several_ranges_are_parts_of_one_response(live: Live, path: str, content: bytes) -> None:
    reply = ask(live, "GET", f"/assets/{path}", Range="bytes=0-3, 10-19, -5")
    boundary = reply.headers["Content-Type"].partition("boundary=")[2]
    assert reply.status == 206
    parts = reply.body.split(f"--{boundary}".encode())
    assert parts[0] == b"" and parts[-1] == b"--\r\n"
    found = [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts[1:-1]]
    assert found == [content[:4], content[10:20], content[-5:]]
    assert f"Content-Range: bytes 10-19/{len(content)}".encode() in parts[2]


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt", "%2e%2e/secret.txt", "css/../../secret.txt", "css%2fsite.css",
        "css\\site.css", "css%5csite.css", ".env", "css/.hidden/file.txt", "%2eenv",
        "css//site.css", "css/site.css/", "css/site.css%00", "css/site.css%0a", "./css/site.css",
        "out.txt", "outside/secret.txt", "hidden.txt", "pipe", "css", "css/", "x" * 300, "%zz",
    ],
)  # fmt: skip
def test_a_path_that_names_no_file_to_publish_is_for_the_application(
    live: Live, folder: Path, path: str
) -> None:
    (folder / ".env").write_text("hidden")
    (folder / "css" / ".hidden").mkdir()
    (folder / "css" / ".hidden" / "file.txt").write_text("hidden")
    (folder / "out.txt").symlink_to(folder.parent / "secret.txt")
    (folder / "outside").symlink_to(folder.parent)
    (folder / "hidden.txt").symlink_to(folder / ".env")
    os.mkfifo(folder / "pipe")
    assert ask(live, "GET", f"/assets/{path}").body == ASKED


def test_a_link_within_the_folder_and_well_known_files_are_served(live: Live, folder: Path) -> None:
    (folder / "link.css").symlink_to(folder / "css" / "site.css")
    (folder / ".well-known").mkdir()
    (folder / ".well-known" / "security.txt").write_text("mail")
    assert ask(live, "GET", "/assets/link.css").body == TEXT
    assert ask(live, "GET", "/assets/.well-known/security.txt").body == b"mail"
    assert ask(live, "GET", "/assets/names%20with%20%C3%BC.txt").body == b"u"
    assert ask(live, "GET", "/%61ssets/css/site%2Ecss").body == TEXT


def test_a_file_without_permission_to_read_is_for_the_application_and_logged(
    live: Live,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*args: Any) -> Any:  # root may read every file
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("carboy.gateway.static.files.Files._resolve", refused)
    for _ in range(2):
        assert ask(live, "GET", "/assets/css/site.css").body == ASKED
    assert [record.message for record in caplog.records].count(
        f"A static file cannot be read: {folder}/css/site.css: Permission denied."
    ) == 1


def test_a_change_of_a_file_is_seen_by_the_next_request(live: Live, folder: Path) -> None:
    path = folder / "css" / "site.css"
    seen = set()
    for number in range(5):
        content = b"%d" % number * 20
        path.write_bytes(content)
        reply = ask(live, "GET", "/assets/css/site.css")
        assert reply.body == content
        seen.add(reply.headers["ETag"])
    path.unlink()
    assert ask(live, "GET", "/assets/css/site.css").body == ASKED
    path.write_bytes(LARGE)
    assert ask(live, "GET", "/assets/css/site.css").body == LARGE
    assert len(seen) > 1


def test_a_link_that_is_switched_to_another_folder_is_followed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(name)
        os.utime(tmp_path / name / "a.txt", (1, 1))
    current = tmp_path / "current"
    current.symlink_to("one")
    with serving(wsgi, current) as live:
        assert ask(live, "GET", "/assets/a.txt").body == b"one"
        (tmp_path / "new").symlink_to("two")
        (tmp_path / "new").rename(current)
        assert ask(live, "GET", "/assets/a.txt").body == b"two"


def test_a_file_compressed_before_is_sent_to_clients_that_accept_it(
    live: Live, folder: Path
) -> None:
    packed = gzip.compress(TEXT)
    (folder / "css" / "site.css.gz").write_bytes(packed)
    (folder / "css" / "site.css.br").write_bytes(b"brotli")
    plain = ask(live, "GET", "/assets/css/site.css")
    assert (plain.body, plain.headers["Vary"]) == (TEXT, "Accept-Encoding")
    tags = {plain.headers["ETag"]}
    for accepted, coding, content in (
        ("gzip", "gzip", packed),
        ("gzip, br", "br", b"brotli"),
        ("gzip;q=1, br;q=0.5", "gzip", packed),
        ("*", "br", b"brotli"),
        ("x-gzip", "gzip", packed),
        ("gzip;q=0, identity", None, TEXT),
        ("gzip;q=0.5, identity;q=0.8", None, TEXT),
        ("zstd", None, TEXT),
    ):
        reply = ask(live, "GET", "/assets/css/site.css", Accept_Encoding=accepted)
        assert (reply.headers["Content-Encoding"], reply.body) == (coding, content)
        assert reply.headers["Content-Type"] == "text/css; charset=utf-8"
        assert reply.headers["Vary"] == "Accept-Encoding"
        tags.add(reply.headers["ETag"])
    assert len(tags) == 3
    direct = ask(live, "GET", "/assets/css/site.css.gz")
    assert direct.headers["Content-Type"] == "application/gzip"
    assert (direct.headers["Content-Encoding"], direct.body) == (None, packed)


def test_a_compressed_file_that_is_older_is_not_sent(live: Live, folder: Path) -> None:
    (folder / "css" / "site.css.gz").write_bytes(b"old")
    os.utime(folder / "css" / "site.css.gz", (1, 1))
    reply = ask(live, "GET", "/assets/css/site.css", Accept_Encoding="gzip")
    assert (reply.body, reply.headers["Vary"]) == (TEXT, None)


def test_names_with_a_hash_are_immutable_and_others_have_the_age_of_the_setting(
    folder: Path,
) -> None:
    for name in ("report-20240101.txt", "a-homepage.txt", "b-deadbeef.txt"):
        (folder / name).write_text("x")
    with serving(wsgi, folder, static_max_age=60) as live:
        assert ask(live, "GET", "/assets/app.3f2a9c41.js").headers["Cache-Control"] == (
            "public, max-age=31536000, immutable"
        )
        for name in ("report-20240101.txt", "a-homepage.txt", "b-deadbeef.txt", "empty.txt"):
            reply = ask(live, "GET", f"/assets/{name}")
            assert reply.headers["Cache-Control"] == "public, max-age=60"
    with serving(wsgi, folder, static_immutable="^/css/") as live:
        reply = ask(live, "GET", "/assets/css/site.css")
        assert reply.headers["Cache-Control"].endswith("immutable")
        assert ask(live, "GET", "/assets/app.3f2a9c41.js").headers["Cache-Control"] == "no-cache"


def test_index_html_is_served_for_its_folder_if_asked_for(folder: Path) -> None:
    (folder / "index.html").write_text("home")
    (folder / "css" / "index.html").write_text("styles")
    with serving(wsgi, folder, prefix="/", static_index=True) as live:
        assert ask(live, "GET", "/").body == b"home"
        assert ask(live, "GET", "/css/").body == b"styles"
        moved = ask(live, "GET", "/css?page=1")
        assert (moved.status, moved.headers["Location"]) == (301, "/css/?page=1")
        assert ask(live, "GET", "//evil.test/..").body == ASKED
        whole = f"http://127.0.0.1:{live.address[1]}/css"
        assert ask(live, "GET", whole).headers["Location"] == "/css/"
    with serving(wsgi, folder, static_index=True) as live:
        assert ask(live, "GET", "/assets").headers["Location"] == "/assets/"
    with serving(wsgi, folder, prefix="/") as live:
        assert ask(live, "GET", "/").body == ASKED


def test_a_redirect_to_a_folder_has_the_prefix_of_the_proxy(folder: Path) -> None:
    (folder / "css" / "index.html").write_text("styles")
    own = StaticFiles(static=(f"/={folder}",), static_index=True)
    gateway = with_static_files(for_application(wsgi), own)
    with served(wsgi, gateway=gateway, trusted_proxies="127.0.0.1") as live:
        moved = ask(live, "GET", "/css", X_Forwarded_Prefix="/sh%C3%B6p")
        assert moved.headers["Location"] == "/sh%C3%B6p/css/"
    with served(wsgi, gateway=entered(gateway, "/shop", ())) as live:
        for path in ("/css", "/shop/css"):
            assert ask(live, "GET", path).headers["Location"] == "/shop/css/"
        assert ask(live, "GET", "/shop/css/").body == b"styles"


def test_the_longest_prefix_has_the_file(tmp_path: Path) -> None:
    for name in ("outer", "inner"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(name)
    both = StaticFiles(static=(f"/={tmp_path}/outer", f"/x={tmp_path}/inner"))
    with served(wsgi, gateway=with_static_files(for_application(wsgi), both)) as live:
        assert ask(live, "GET", "/a.txt").body == b"outer"
        assert ask(live, "GET", "/x/a.txt").body == b"inner"


def test_mounted_applications_get_what_is_not_a_file(folder: Path) -> None:
    app = carboy.mount(wsgi, {"/api": partial(wsgi)})
    gateway = with_static_files(
        for_application(app), StaticFiles(static=(f"/api/files={folder}", f"/={folder}"))
    )
    with served(app, gateway=gateway) as live:
        for _ in range(2):
            assert ask(live, "GET", "/api/files/css/site.css").body == TEXT
            assert ask(live, "GET", "/api/files/missing.css").headers["X-Path"] == (
                "/files/missing.css"
            )
            assert ask(live, "GET", "/api/users").headers["X-Path"] == "/users"
            assert ask(live, "GET", "/css/site.css").body == TEXT


def test_a_file_that_shrinks_while_it_is_sent_ends_the_connection(live: Live, folder: Path) -> None:
    path = folder / "huge.bin"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with socket.create_connection(live.address, timeout=60) as sock:
        sock.sendall(b"GET /assets/huge.bin HTTP/1.1\r\nHost: x\r\n\r\n")
        received = len(sock.recv(1000))
        os.truncate(path, 1000)
        with pytest.raises(ConnectionResetError):
            while data := sock.recv(1 << 20):
                received += len(data)
    assert received < 1 << 30
    assert ask(live, "GET", "/assets/huge.bin").headers["Content-Length"] == "1000"


def test_clients_that_do_not_read_a_large_file_do_not_delay_others(
    live: Live, folder: Path
) -> None:
    with (folder / "huge.bin").open("wb") as file:
        file.truncate(1 << 30)
    slow = [socket.create_connection(live.address, timeout=60) for _ in range(10)]
    try:
        for sock in slow:
            sock.sendall(b"GET /assets/huge.bin HTTP/1.1\r\nHost: x\r\n\r\n")
            assert sock.recv(1)
        assert ask(live, "GET", "/assets/css/site.css").body == TEXT
    finally:
        for sock in slow:
            sock.close()


def test_a_problem_of_the_disk_is_a_500_and_logged(
    live: Live, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("carboy.gateway.static.files._read", broken)
    assert ask(live, "GET", "/assets/css/site.css").status == 500
    assert "GET /assets/css/site.css" in caplog.text
    monkeypatch.undo()
    assert ask(live, "GET", "/assets/css/site.css").body == TEXT


def test_the_access_log_has_the_file_and_its_size(live: Live) -> None:
    ask(live, "GET", "/assets/css/site.css")
    ask(live, "GET", "/assets/large.bin")
    eventually(lambda: len(live.records) == 2)
    assert [record[4:6] for record in live.records] == [(200, len(TEXT)), (200, len(LARGE))]


def test_memory_keeps_what_is_used_within_its_limit(folder: Path) -> None:
    from carboy.gateway.static.files import Files
    from carboy.gateway.static.memory import Memory

    for number in range(8):
        (folder / f"{number}.txt").write_bytes(b"x" * 1000)
        os.utime(folder / f"{number}.txt", (1, 1))
    memory = Memory(4000)
    files = Files(os.fsencode(folder), memory)

    def get(number: int) -> Any:
        file = files.find(b"%d.txt" % number)
        assert file is not None
        assert files.content(file) == b"x" * 1000
        return file

    first = get(0)
    for number in range(1, 8):
        assert get(0) is first
        get(number)
        assert memory.used <= 4000
        assert first.content is not None
    (folder / "0.txt").write_bytes(b"y" * 1000)
    assert files.content(files.find(b"0.txt")) == b"y" * 1000  # type: ignore[arg-type]
    assert first.content is None


def test_a_bad_setting_says_what_to_do(tmp_path: Path) -> None:
    for text, part in (
        ("assets", "is not PREFIX=FOLDER"),
        ("assets=dist", "does not start with a slash"),
        ("/assets=", "is not PREFIX=FOLDER"),
        (f"/assets={tmp_path}/missing", "is not a folder"),
        (f"/a%2fb={tmp_path}", "encoded slash"),
    ):
        with pytest.raises(ValueError, match=part):
            StaticFiles(static=(text,))
    with pytest.raises(ValueError, match="given twice"):
        StaticFiles(static=(f"/a={tmp_path}", f"/a/={tmp_path}"))
    with pytest.raises(ValueError, match="not a regular expression"):
        StaticFiles(static_immutable="(")


def test_pipelined_requests_are_answered_in_their_order(live: Live) -> None:
    lines = b"".join(
        b"GET /assets/%b HTTP/1.1\r\nHost: x\r\n\r\n" % name
        for name in (b"css/site.css", b"large.bin", b"missing", b"css/site.css")
    )
    with live.client() as client:
        client.send(lines)
        assert isinstance(client, Client)
        assert [client.reply().body for _ in range(4)] == [TEXT, LARGE, ASKED, TEXT]
