"""Responses compressed by the server, over real sockets, of applications of all kinds."""

from __future__ import annotations

import gzip
import os
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import brotli
import pytest
from backports import zstd

import carboy
from carboy.server.compression import Compression
from carboy.server.encoders import JITTER, Gzip, available
from carboy.server.repeated import Repeated
from live_asgi import body, only_http, served_asgi, start
from live_engine import Live, Reply, eventually, served

PAGE = b"<p>Hello, World!</p>\n" * 200
BIG = b"".join(b"%d: some text that repeats\n" % number for number in range(40_000))
DECODED: dict[str | None, Any] = {
    None: lambda data: data,
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": zstd.decompress,
}
HTML = ("Content-Type", "text/html; charset=utf-8")


def compressing(app: Any, **settings: Any) -> Any:
    return served(app, compress=True, record=True, **settings)


def answering(status: str, *headers: tuple[str, str], content: bytes = PAGE) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response(status, list(headers))
        return [content]

    return app


def ask(live: Live, path: str = "/", method: str = "GET", **fields: str) -> Reply:
    with live.client() as client:
        client.request(method, path, {k.replace("_", "-"): v for k, v in fields.items()})
        return client.reply(method)


def wsgi(environ: dict[str, Any], start_response: Any) -> Any:
    path = environ["PATH_INFO"]
    start_response("200 OK", [HTML, ("ETag", '"1"')])
    if path == "/pieces":
        return (PAGE[at : at + 1000] for at in range(0, len(PAGE), 1000))
    return [BIG if path == "/big" else PAGE]


def framework() -> carboy.Carboy:
    app = carboy.Carboy("compress-test")

    def view(path: str) -> Any:
        if path == "pieces":
            content: Any = (PAGE[at : at + 1000] for at in range(0, len(PAGE), 1000))
        else:
            content = BIG if path == "big" else PAGE
        return carboy.Response(content, headers={"ETag": '"1"'}, mimetype="text/html")

    app.add_url_rule("/<path>", "view", view)
    return app


@only_http
async def asgi(scope: Any, receive: Any, send: Any) -> None:
    html = (b"content-type", b"text/html; charset=utf-8"), (b"etag", b'"1"')
    await send(start(200, *html))
    if scope["path"] == "/pieces":
        for at in range(0, len(PAGE), 1000):
            await send(body(PAGE[at : at + 1000], more=True))
        await send(body())
    else:
        await send(body(BIG if scope["path"] == "/big" else PAGE))


@contextmanager
def live_of(kind: str) -> Iterator[Live]:
    if kind == "asgi":
        with served_asgi(asgi, compress=True, record=True) as live:
            yield live
    else:
        with served(wsgi if kind == "wsgi" else framework(), compress=True, record=True) as live:
            yield live


@pytest.mark.parametrize("kind", ["wsgi", "direct", "asgi"])
def test_a_response_is_compressed_in_the_coding_that_the_client_prefers(kind: str) -> None:
    contents = {"/page": PAGE, "/pieces": PAGE, "/big": BIG}
    with live_of(kind) as live, live.client() as client:
        for path, content in contents.items():
            for accepted, coding in (
                ("gzip", "gzip"),
                ("br", "br"),
                ("zstd", "zstd"),
                ("gzip, deflate, br, zstd", "zstd"),
                ("gzip;q=1.0, br;q=0.8", "gzip"),
                ("br;q=0, *", "zstd"),
                ("identity", None),
                ("gzip;q=0", None),
                ("", None),
                ("gzip;q=x", None),
            ):
                client.request("GET", path, {"Accept-Encoding": accepted})
                reply = client.reply()
                assert reply.headers["Content-Encoding"] == coding
                assert DECODED[coding](reply.body) == content
                assert reply.headers["Vary"] == "Accept-Encoding"
                assert reply.headers["ETag"] == ('W/"1"' if coding else '"1"')
        eventually(lambda: len(live.records) == 30)
        assert live.records[0][5] < len(PAGE) / 5


@pytest.mark.parametrize("kind", ["wsgi", "direct", "asgi"])
def test_head_has_the_fields_of_get(kind: str) -> None:
    with live_of(kind) as live:
        got = ask(live, "/page", Accept_Encoding="gzip")
        head = ask(live, "/page", "HEAD", Accept_Encoding="gzip")
    assert head.body == b""
    for name in ("Vary", "Content-Type"):
        assert head.headers[name] == got.headers[name]
    if head.headers["Content-Encoding"] is not None:
        assert head.headers["ETag"] == got.headers["ETag"]
        assert head.headers["Content-Length"] is None


PLAIN = {
    "a small body": answering("200 OK", HTML, content=b"x" * 1023),
    "another type": answering("200 OK", ("Content-Type", "image/png")),
    "no type": answering("200 OK"),
    "a coding": answering("200 OK", HTML, ("Content-Encoding", "identity")),
    "no-transform": answering("200 OK", HTML, ("Cache-Control", "public, No-Transform")),
    "no-transform in the first of two fields": answering(
        "200 OK", HTML, ("Cache-Control", "no-transform"), ("Cache-Control", "max-age=3")
    ),
    "a range": answering("206 Partial Content", HTML, ("Content-Range", "bytes 0-9/100")),
    "a digest": answering("200 OK", HTML, ("Content-Digest", "sha-256=:x:")),
    "events": answering("200 OK", ("Content-Type", "text/event-stream")),
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_response_that_cannot_be_compressed_is_left_as_it_is(name: str) -> None:
    with compressing(PLAIN[name]) as live, served(PLAIN[name]) as without:
        replies = [ask(each, Accept_Encoding="gzip, br, zstd") for each in (live, without)]
    first, second = ((reply.status, reply.body, reply.headers.items()) for reply in replies)
    assert first[:2] == second[:2]
    assert dict(first[2]) | {"Date": ""} == dict(second[2]) | {"Date": ""}


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified", "205 Reset Content"])
def test_a_response_without_content_has_no_coding(status: str) -> None:
    with compressing(answering(status, HTML, content=b"")) as live:
        assert ask(live, Accept_Encoding="gzip").headers["Content-Encoding"] is None


def test_errors_are_compressed_as_well() -> None:
    with compressing(answering("404 Not Found", HTML)) as live:
        reply = ask(live, Accept_Encoding="gzip")
    assert (reply.status, gzip.decompress(reply.body)) == (404, PAGE)


def test_vary_is_extended_and_not_repeated() -> None:
    for before, after in (
        ("Accept-Language", ["Accept-Language", "Accept-Encoding"]),
        ("accept-encoding, Origin", ["accept-encoding, Origin"]),
    ):
        with compressing(answering("200 OK", HTML, ("Vary", before))) as live:
            for accepted in ("gzip", "identity"):
                reply = ask(live, Accept_Encoding=accepted)
                assert reply.headers.get_all("Vary") == after


def test_the_weak_tag_still_leads_to_304() -> None:
    app = carboy.Carboy("tags")

    @app.get("/")
    def page() -> Any:
        response = carboy.Response(PAGE, mimetype="text/html")
        response.add_etag()
        return response.make_conditional(carboy.request)

    with compressing(app) as live:
        tag = ask(live, Accept_Encoding="gzip").headers["ETag"]
        assert tag.startswith("W/")
        again = ask(live, Accept_Encoding="gzip", If_None_Match=tag)
        assert (again.status, again.headers["ETag"]) == (304, tag)
        assert again.headers["Vary"] == "Accept-Encoding"
        plain = ask(live, If_None_Match=tag.removeprefix("W/"))
        assert (plain.status, plain.headers["ETag"]) == (304, tag.removeprefix("W/"))


def test_each_piece_of_a_stream_can_be_decoded_when_it_is_made() -> None:
    more = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [HTML])
        yield b"first"
        assert more.wait(60)
        yield b"second"

    for coding in available():
        more.clear()
        with compressing(app) as live, live.client() as client:
            client.request("GET", "/", {"Accept-Encoding": coding})
            client.until(b"\r\n\r\n")
            decoder: Any = {
                "gzip": lambda: zlib.decompressobj(31),
                "br": brotli.Decompressor,
                "zstd": zstd.ZstdDecompressor,
            }[coding]()
            decode = getattr(decoder, "process", None) or decoder.decompress
            found = b""
            while found != b"first":
                size = int(client.until(b"\r\n"), 16)
                found += decode(client.file.read(size))
                client.until(b"\r\n")
            more.set()
            while found != b"firstsecond":
                size = int(client.until(b"\r\n"), 16)
                found += decode(client.file.read(size))
                client.until(b"\r\n")


def test_write_of_wsgi_is_compressed() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [HTML])
        write(PAGE)
        write(b"")
        return [b"end"]

    with compressing(app) as live:
        assert gzip.decompress(ask(live, Accept_Encoding="gzip").body) == PAGE + b"end"


def test_a_client_of_http_1_0_gets_the_content_up_to_the_end_of_the_connection() -> None:
    with compressing(wsgi) as live:
        raw = live.ask(b"GET /pieces HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n")
    assert gzip.decompress(raw.partition(b"\r\n\r\n")[2]) == PAGE


@pytest.mark.parametrize("missing", [True, False])
def test_a_wrong_content_length_of_a_stream_is_noticed(
    missing: bool, caplog: pytest.LogCaptureFixture
) -> None:
    length = len(PAGE) + (10 if missing else -10)

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [HTML, ("Content-Length", str(length))])
        yield PAGE[:1000]
        yield PAGE[1000:]

    with compressing(app) as live:
        raw = live.ask(
            b"GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
        )
        eventually(lambda: "its Content-Length" in caplog.text)
    assert raw.endswith(b"0\r\n\r\n") != missing


# --- secrets

SECRETS = {
    "it sets a cookie": (("Set-Cookie", "a=b"), {}),
    "it varies by cookies": (("Vary", "Cookie"), {}),
    "it is private": (("Cache-Control", "private"), {}),
    "the request is authorized": (("X-Other", "1"), {"Authorization": "Bearer x"}),
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_response_with_secrets_is_compressed_only_if_the_request_has_no_input(name: str) -> None:
    header, fields = SECRETS[name]
    app = answering("200 OK", HTML, header)
    with compressing(app) as live:
        assert ask(live, Accept_Encoding="br", **fields).headers["Content-Encoding"] == "br"
        query = ask(live, "/?q=1", Accept_Encoding="br", **fields)
        assert (query.headers["Content-Encoding"], query.body) == (None, PAGE)
        with live.client() as client:
            client.request("POST", "/", {"Accept-Encoding": "br", **fields}, b"q=1")
            assert client.reply().headers["Content-Encoding"] is None
    with compressing(answering("200 OK", HTML)) as live:
        assert ask(live, "/?q=1", Accept_Encoding="br").headers["Content-Encoding"] == "br"


def test_if_asked_for_they_are_compressed_with_a_length_that_varies() -> None:
    app = answering("200 OK", HTML, ("Set-Cookie", "a=b"))
    with compressing(app, compress_personal=True) as live:
        replies = [ask(live, "/?q=1", Accept_Encoding="br, gzip") for _ in range(12)]
        assert ask(live, "/?q=1", Accept_Encoding="br").headers["Content-Encoding"] is None
    assert {reply.headers["Content-Encoding"] for reply in replies} == {"gzip"}
    assert all(gzip.decompress(reply.body) == PAGE for reply in replies)
    lengths = [len(reply.body) for reply in replies]
    assert len(set(lengths)) > 1
    assert max(lengths) - min(lengths) <= JITTER


# --- files


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_a_file_is_compressed_if_its_type_is(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(BIG)

    def with_wrapper(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [HTML])
        return environ["wsgi.file_wrapper"](path.open("rb"))

    @only_http
    async def by_path(scope: Any, receive: Any, send: Any) -> None:
        await send(start(200, (b"content-type", b"text/html")))
        await send({"type": "http.response.pathsend", "path": str(path)})

    serving = (
        served(with_wrapper, compress=True)
        if kind == "wsgi"
        else served_asgi(by_path, compress=True)
    )
    with serving as live, live.client() as client:
        for accepted in ("br", "identity", "br"):
            client.request("GET", "/", {"Accept-Encoding": accepted})
            reply = client.reply()
            large = kind == "asgi" and len(BIG) > 1024 * 1024
            coding = None if accepted == "identity" or large else "br"
            assert reply.headers["Content-Encoding"] == coding
            assert reply.headers["Vary"] == "Accept-Encoding"
            assert DECODED[coding](reply.body) == BIG


def test_static_files_are_compressed_and_ranges_are_not(tmp_path: Path) -> None:
    from carboy.gateway import for_application
    from carboy.server.static_files import StaticFiles, with_static_files

    (tmp_path / "a.css").write_bytes(PAGE)
    os.utime(tmp_path / "a.css", (time.time() - 9, time.time() - 9))
    gateway = with_static_files(for_application(wsgi), StaticFiles(static=(f"/={tmp_path}",)))
    with served(wsgi, gateway=gateway, compress=True) as live:
        whole = ask(live, "/a.css", Accept_Encoding="gzip")
        assert gzip.decompress(whole.body) == PAGE
        again = ask(live, "/a.css", Accept_Encoding="gzip", If_None_Match=whole.headers["ETag"])
        assert (again.status, again.headers["ETag"]) == (304, whole.headers["ETag"])
        part = ask(live, "/a.css", Accept_Encoding="gzip", Range="bytes=0-1999")
        assert (part.status, part.body) == (206, PAGE[:2000])
        assert part.headers["Content-Encoding"] is None


def test_a_body_that_is_sent_again_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []

    class Counted(Gzip):
        def whole(self, data: bytes) -> bytes:
            encoded.append(len(data))
            return super().whole(data)

    monkeypatch.setattr("carboy.server.compressing.available", lambda: {"gzip": Counted})

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [HTML])
        return [bytes(bytearray(PAGE)) if environ["PATH_INFO"] == "/made" else PAGE]

    with compressing(app) as live:
        for path, count in (("/same", 2), ("/made", 5)):
            encoded.clear()
            bodies = {ask(live, path, Accept_Encoding="gzip").body for _ in range(5)}
            assert {gzip.decompress(each) for each in bodies} == {PAGE}
            assert len(encoded) <= count


def test_encoded_contents_are_kept_within_a_limit() -> None:
    repeated = Repeated(8000)
    bodies = [b"%d" % number * 300 for number in range(10, 40)]
    for content in bodies:
        for _ in range(2):
            repeated.offer(content, "gzip", b"x" * 100)
        assert repeated.find(content, "gzip") == b"x" * 100
        assert repeated.find(content, "br") is None
    assert repeated.find(bodies[0], "gzip") is None
    large = b"l" * 2000
    for _ in range(2):
        repeated.offer(large, "gzip", b"x")
    assert repeated.find(large, "gzip") is None


def test_large_responses_of_asgi_applications_are_compressed_beside_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[int] = []
    loops: list[int] = []

    class Noted(Gzip):
        def whole(self, data: bytes) -> bytes:
            threads.append(threading.get_ident())
            return super().whole(data)

    @only_http
    async def app(scope: Any, receive: Any, send: Any) -> None:
        loops.append(threading.get_ident())
        await send(start(200, (b"content-type", b"text/html")))
        await send(body(BIG if scope["path"] == "/big" else PAGE))

    monkeypatch.setattr("carboy.server.compressing.available", lambda: {"gzip": Noted})
    with served_asgi(app, compress=True) as live:
        for _ in range(2):
            assert gzip.decompress(ask(live, "/big", Accept_Encoding="gzip").body) == BIG
        assert ask(live, "/big").body == BIG
        assert not set(threads) & set(loops)
        assert gzip.decompress(ask(live, "/page", Accept_Encoding="gzip").body) == PAGE


def test_events_are_compressed_if_their_type_is_named() -> None:
    app = answering("200 OK", ("Content-Type", "text/event-stream"))
    with compressing(app, compress_types="text/event-stream") as live:
        assert ask(live, Accept_Encoding="gzip").headers["Content-Encoding"] == "gzip"


def test_a_bad_type_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a media type"):
        Compression(compress_types="text/html; charset=utf-8")


def test_only_gzip_is_offered_without_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carboy.server.encoders._imported", lambda *names: None)
    monkeypatch.setattr("carboy.server.encoders._brotli", None)
    monkeypatch.setattr("carboy.server.encoders._zstd", None)
    assert list(available()) == ["gzip"]
