"""Responses that are kept and used again (RFC 9111), over real sockets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import carboy
from carboy.gateway import for_application
from carboy.server.response_cache import gateway as module
from carboy.server.response_cache.gateway import CachingGateway
from carboy.server.response_cache.rules import asked_by, directives, lifetime, varies_by
from carboy.server.response_cache.store import Kept, Store
from live_asgi import body, only_http, start
from live_engine import Live, Reply, eventually, served

Headers = list[tuple[str, str]]
FRESH = ("Cache-Control", "max-age=60")


class Counting:
    """An application of any kind that counts its requests; `answer` makes the response."""

    def __init__(self, *headers: tuple[str, str], status: str = "200 OK") -> None:
        self.headers: Headers = list(headers)
        self.status = status
        self.calls = 0
        self.wait: Callable[[], object] = lambda: None
        self.pieces = False

    def content(self) -> bytes:
        self.calls += 1
        number = self.calls
        self.wait()
        return b"response %d" % number

    def wsgi(self, environ: dict[str, Any], start_response: Any) -> Any:
        content = self.content()
        start_response(self.status, self.headers)
        return iter([content[:3], content[3:]]) if self.pieces else [content]

    def direct(self) -> carboy.Carboy:
        app = carboy.Carboy("cache-test", static_folder=None)

        def view(path: str) -> Any:
            content: Any = self.content()
            return carboy.Response(
                iter([content[:3], content[3:]]) if self.pieces else content,
                status=self.status,
                headers=self.headers,
            )

        app.add_url_rule("/<path:path>", "view", view, methods=["GET", "POST", "PUT"])
        app.add_url_rule("/", "root", lambda: view(""), methods=["GET", "POST", "PUT"])
        return app

    def asgi(self) -> Any:
        @only_http
        async def app(scope: Any, receive: Any, send: Any) -> None:
            content = await asyncio.get_running_loop().run_in_executor(None, self.content)
            headers = [(n.lower().encode(), v.encode()) for n, v in self.headers]
            await send(start(int(self.status[:3]), *headers))
            if self.pieces:
                await send(body(content[:3], more=True))
                await send(body(content[3:]))
            else:
                await send(body(content))

        return app

    def asgi_at_once(self) -> Any:
        @only_http
        async def app(scope: Any, receive: Any, send: Any) -> None:
            content = self.content()
            headers = [(n.lower().encode(), v.encode()) for n, v in self.headers]
            await send(start(int(self.status[:3]), *headers))
            await send(body(content))

        return app

    def of(self, kind: str) -> Any:
        return {"wsgi": lambda: self.wsgi, "direct": self.direct, "asgi": self.asgi,
                "asgi at once": self.asgi_at_once}[kind]()  # fmt: skip


KINDS = ("wsgi", "direct", "asgi", "asgi at once")


class Cached:
    def __init__(self, live: Live, gateway: CachingGateway) -> None:
        self.live = live
        self.gateway = gateway
        self.figures = gateway.store.figures

    def ask(self, path: str = "/", method: str = "GET", **fields: str) -> Reply:
        with self.live.client() as client:
            client.request(method, path, {k.replace("_", "-"): v for k, v in fields.items()})
            return client.reply(method)


@contextmanager
def cached(app: Any, size: int = 1 << 20, **settings: Any) -> Iterator[Cached]:
    gateway: Any = CachingGateway(for_application(app), Store(size))
    begin = getattr(gateway, "start", None)
    if begin is not None:
        begin()
    try:
        with served(app, gateway=gateway, record=True, **settings) as live:
            yield Cached(live, gateway)
    finally:
        if begin is not None:
            gateway.stop(5)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets seconds pass for what is kept."""
    passed = [0.0]

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return 1000.0 + passed[0]

    monkeypatch.setattr("carboy.server.response_cache.store.time", Clock)

    def add(seconds: float) -> None:
        passed[0] += seconds

    return add


@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "pieces"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_fresh_response_is_used_again(
    kind: str, pieces: bool, later: Callable[[float], None]
) -> None:
    app = Counting(FRESH, ("Content-Type", "text/plain"))
    app.pieces = pieces
    with cached(app.of(kind)) as live:
        first = live.ask("/a?b=1")
        assert (first.body, first.headers["Age"]) == (b"response 1", None)
        assert first.headers["Cache-Status"] == "carboy; fwd=miss"
        eventually(lambda: live.figures["stored"])
        later(10)
        again = live.ask("/a?b=1")
        assert (again.body, again.headers["Age"]) == (b"response 1", "10")
        assert again.headers["Cache-Status"] == "carboy; hit; ttl=50"
        assert again.headers["Content-Type"] == "text/plain"
        assert len(again.headers.get_all("Date", [])) == 1
        head = live.ask("/a?b=1", "HEAD")
        assert (head.body, head.headers["Age"]) == (b"", "10")
        assert live.ask("/a?b=2").body == b"response 2"
        assert live.ask("/a?b=1", Host="other.test").body == b"response 3"
        later(51)
        assert live.ask("/a?b=1").body == b"response 4"
        assert live.figures["hits"] == 2


NOT_KEPT = {
    "no time": [],
    "no-store": [("Cache-Control", "max-age=60, no-store")],
    "private": [("Cache-Control", "private, max-age=60")],
    "no-cache": [("Cache-Control", "max-age=60, no-cache")],
    "no seconds": [("Cache-Control", "max-age=0")],
    "not a number": [("Cache-Control", "max-age=1e9")],
    "s-maxage first": [("Cache-Control", "max-age=60, s-maxage=0")],
    "in the past": [("Expires", "Mon, 01 Jan 1990 00:00:00 GMT")],
    "not a date": [("Expires", "0")],
    "a cookie": [FRESH, ("Set-Cookie", "a=b")],
    "varies by everything": [FRESH, ("Vary", "Accept, *")],
    "old already": [FRESH, ("Age", "60")],
}


@pytest.mark.parametrize("name", NOT_KEPT)
def test_a_response_that_a_shared_cache_may_not_keep_is_not_kept(name: str) -> None:
    app = Counting(*NOT_KEPT[name])
    with cached(app.wsgi) as live:
        assert [live.ask().body for _ in range(2)] == [b"response 1", b"response 2"]
        assert live.gateway.store.used == 0


@pytest.mark.parametrize("status", ["500 Internal Server Error", "206 Partial Content", "403 No"])
def test_a_status_without_a_meaning_for_caches_is_not_kept(status: str) -> None:
    app = Counting(FRESH, status=status)
    with cached(app.wsgi) as live:
        assert [live.ask().body for _ in range(2)] == [b"response 1", b"response 2"]


@pytest.mark.parametrize(
    "header",
    [("Cache-Control", "s-maxage=9"), ("Expires", "Fri, 01 Jan 2100 00:00:00 GMT")],
)
def test_other_times_are_understood(header: tuple[str, str]) -> None:
    app = Counting(header)
    with cached(app.wsgi) as live:
        assert [live.ask().body for _ in range(2)] == [b"response 1"] * 2


def test_vary_selects_the_response() -> None:
    app = Counting(FRESH, ("Vary", "Accept-Language, X-Other"))
    with cached(app.wsgi) as live:
        assert live.ask(Accept_Language="de, en").body == b"response 1"
        assert live.ask(Accept_Language="en").body == b"response 2"
        assert live.ask().body == b"response 3"
        assert live.ask(Accept_Language="de,en").body == b"response 1"
        assert live.ask(Accept_Language="en").body == b"response 2"
        assert live.ask(Accept_Language="en", X_Other="1").body == b"response 4"


def test_the_wishes_of_a_request_are_respected(later: Callable[[float], None]) -> None:
    app = Counting(FRESH)
    with cached(app.wsgi) as live:
        assert live.ask(Cache_Control="only-if-cached").status == 504
        assert live.ask(Cache_Control="no-store").body == b"response 1"
        assert live.ask().body == b"response 2"
        assert live.ask(Cache_Control="no-cache").body == b"response 3"
        assert live.ask(Pragma="no-cache").body == b"response 4"
        assert live.ask().body == b"response 4"
        later(20)
        assert live.ask(Cache_Control="max-age=30").body == b"response 4"
        assert live.ask(Cache_Control="max-age=10").body == b"response 5"
        later(20)
        assert live.ask(Cache_Control="min-fresh=50").body == b"response 6"
        assert live.ask(Cache_Control="only-if-cached").body == b"response 6"


def test_responses_to_authorized_requests_are_kept_only_if_they_are_public() -> None:
    app = Counting(FRESH)
    with cached(app.wsgi) as live:
        assert [live.ask(Authorization="x").body for _ in range(2)] == [
            b"response 1",
            b"response 2",
        ]
        app.headers = [("Cache-Control", "public, max-age=60")]
        assert [live.ask("/p", Authorization="x").body for _ in range(2)] == [b"response 3"] * 2


def test_a_range_and_a_body_are_for_the_application() -> None:
    app = Counting(FRESH)
    with cached(app.wsgi) as live:
        live.ask()
        assert live.ask(Range="bytes=0-1").body == b"response 2"
        with live.live.client() as client:
            client.request("GET", "/", body=b"x")
            assert client.reply().body == b"response 3"


@pytest.mark.parametrize("kind", KINDS)
def test_requests_may_have_a_time_limit(kind: str) -> None:
    app = Counting(FRESH)
    with cached(app.of(kind), request_timeout=60) as live:
        assert live.ask().body == live.ask().body == b"response 1"


@pytest.mark.parametrize("kind", KINDS)
def test_an_unsafe_method_discards_what_is_kept_of_its_url(kind: str) -> None:
    app = Counting(FRESH)
    with cached(app.of(kind)) as live:
        live.ask("/a")
        live.ask("/b")
        eventually(lambda: live.figures["stored"] == 2)
        assert live.ask("/a", "PUT").body == b"response 3"
        eventually(lambda: live.gateway.store.find(("http", "example.test", "/a"), {}) is None)
        assert live.ask("/a").body == b"response 4"
        assert live.ask("/b").body == b"response 2"
        app.status = "400 Bad Request"
        assert live.ask("/b", "POST").status == 400
        assert live.ask("/b").body == b"response 2"


def test_a_client_that_has_the_response_gets_304() -> None:
    app = Counting(FRESH, ("ETag", '"1,a"'), ("Content-Type", "text/plain"))
    with cached(app.wsgi) as live:
        live.ask()
        for tag in ('"1,a"', 'W/"1,a"', '"0", "1,a"', "*"):
            reply = live.ask(If_None_Match=tag)
            assert (reply.status, reply.body, reply.headers["ETag"]) == (304, b"", '"1,a"')
        assert live.ask(If_None_Match='"1"').body == b"response 1"


@pytest.mark.parametrize("kind", KINDS)
def test_a_stale_response_is_sent_while_it_is_refreshed(
    kind: str, later: Callable[[float], None]
) -> None:
    app = Counting(("Cache-Control", "max-age=60, stale-while-revalidate=30"))
    with cached(app.of(kind)) as live:
        live.ask()
        eventually(lambda: live.figures["stored"])
        later(70)
        release = threading.Event()
        app.wait = lambda: release.wait(60)
        stale = [live.ask() for _ in range(3)]
        assert [reply.body for reply in stale] == [b"response 1"] * 3
        assert stale[0].headers["Cache-Status"] == "carboy; hit; ttl=-10"
        release.set()
        eventually(lambda: live.figures["stored"] == 2)
        assert live.ask().body == b"response 2"
        assert app.calls == 2
        later(91)
        assert live.ask().body == b"response 3"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_refresh_asks_for_the_whole_content(method: str, later: Callable[[float], None]) -> None:
    made = Counting(("Cache-Control", "max-age=60, stale-while-revalidate=30"), ("ETag", '"same"'))
    app = made.direct()
    app.after_request(lambda response: response.make_conditional(carboy.request))
    with cached(app) as live:
        live.ask()
        eventually(lambda: live.figures["stored"])
        later(70)
        assert live.ask("/", method, If_None_Match='"same"').status == 304
        eventually(lambda: live.figures["stored"] == 2)
        assert live.ask().body == b"response 2"


def test_a_refresh_sends_no_early_hints(later: Callable[[float], None]) -> None:
    hinted: list[object] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ["wsgi.early_hints"]([("Link", "</a.css>; rel=preload")])
        hinted.append(True)
        start_response("200 OK", [("Cache-Control", "max-age=60, stale-while-revalidate=30")])
        return [b"page"]

    with cached(app) as live, live.live.client() as client:
        client.request("GET", "/")
        assert client.until(b"\r\n\r\n").startswith(b"HTTP/1.1 103 ")
        assert client.reply("GET").body == b"page"
        eventually(lambda: live.figures["stored"])
        later(70)
        for _ in range(2):
            client.request("GET", "/")
            assert client.reply("GET").status == 200
            eventually(lambda: live.figures["stored"] == 2)
    assert len(hinted) == 2


def test_responses_are_kept_and_refreshed_for_what_a_trusted_proxy_says(
    later: Callable[[float], None],
) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Cache-Control", "max-age=60, stale-while-revalidate=30")])
        return [f"{environ['wsgi.url_scheme']} {environ['SCRIPT_NAME']}".encode()]

    secure = {"X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/shop"}
    with cached(app, trusted_proxies="127.0.0.1") as live:
        assert live.ask(**secure).body == b"https /shop"
        assert live.ask().body == b"http "
        assert live.ask(**{**secure, "X-Forwarded-Prefix": "/other"}).body == b"https /other"
        eventually(lambda: live.figures["stored"] == 3)
        later(70)
        assert live.ask(**secure).body == b"https /shop"
        eventually(lambda: live.figures["stored"] == 4)
        found = live.ask(**secure)
        assert found.body == b"https /shop"
        assert "ttl=60" in found.headers["Cache-Status"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_stale_response_is_sent_instead_of_an_error(
    kind: str, later: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    app = Counting(("Cache-Control", "max-age=60, stale-if-error=30"))

    def fail() -> None:
        raise RuntimeError("broken")

    with cached(app.of(kind)) as live:
        live.ask()
        eventually(lambda: live.figures["stored"])
        later(70)
        app.status = "503 Service Unavailable"
        assert live.ask().body == b"response 1"
        app.pieces = True
        assert live.ask().body == b"response 1"
        app.wait = fail
        assert live.ask().body == b"response 1"
        assert "RuntimeError: broken" in caplog.text
        later(21)
        assert live.ask().status == 500


@pytest.mark.parametrize("way", ["pathsend", "zerocopysend"])
def test_a_stale_response_is_sent_instead_of_an_error_page_in_a_file(
    way: str, tmp_path: Path, later: Callable[[float], None]
) -> None:
    page = tmp_path / "error.html"
    page.write_text("error")
    statuses = [200, 500]
    ended: list[int] = []

    @only_http
    async def app(scope: Any, receive: Any, send: Any) -> None:
        status = statuses.pop(0)
        await send(start(status, (b"cache-control", b"max-age=60, stale-if-error=600")))
        if status == 200:
            await send(body(b"page"))
        elif way == "pathsend":
            await send({"type": "http.response.pathsend", "path": str(page)})
        else:
            with page.open("rb") as file:
                await send({"type": "http.response.zerocopysend", "file": file.fileno()})
        ended.append(status)

    with cached(app) as live:
        assert live.ask().body == b"page"
        eventually(lambda: live.figures["stored"])
        later(70)
        assert live.ask().body == b"page"
        eventually(lambda: ended == [200, 500])


# "asgi at once" blocks the loop, so no other request is read meanwhile.
@pytest.mark.parametrize("kind", KINDS[:3])
def test_requests_for_the_same_key_wait_for_one_call_of_the_view(kind: str) -> None:
    app = Counting(FRESH)
    release = threading.Event()
    app.wait = lambda: release.wait(60)
    with cached(app.of(kind), threads=4) as live:
        clients = [live.live.client() for _ in range(12)]
        opened = [each.__enter__() for each in clients]
        try:
            opened[0].request("GET", "/same")
            eventually(lambda: app.calls == 1)
            for client in opened[1:]:
                client.request("GET", "/same")
            eventually(lambda: live.figures["waited"] == 11)
            app.wait = lambda: None
            opened[0].sock.settimeout(60)
            assert live.ask("/other").body == b"response 2"  # no thread is held
            release.set()
            assert {client.reply().body for client in opened} == {b"response 1"}
        finally:
            release.set()
            for each in clients:
                each.__exit__(None, None, None)
        assert app.calls == 2


@pytest.mark.parametrize("kind", ["wsgi", "direct", "asgi"])
def test_requests_that_have_waited_in_vain_are_passed_on(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Counting(("Cache-Control", "no-store"))
    release = threading.Event()
    app.wait = lambda: release.wait(60)
    with cached(app.of(kind)) as live, live.live.client() as one, live.live.client() as two:
        one.request("GET", "/same")
        eventually(lambda: app.calls == 1)
        two.request("GET", "/same")
        eventually(lambda: live.figures["waited"] == 1)
        app.wait = lambda: None
        release.set()
        assert one.reply().body == b"response 1"
        assert two.reply().body == b"response 2"
        # Requests do not wait for a key whose response could not be kept.
        held = threading.Event()
        app.wait = lambda: held.wait(60)
        one.request("GET", "/same")
        eventually(lambda: app.calls == 3)
        app.wait = lambda: None
        two.request("GET", "/same")
        assert two.reply().body == b"response 4"
        held.set()
        one.reply()


def test_a_request_waits_for_a_limited_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT", 0.1)
    app = Counting(FRESH)
    release = threading.Event()
    app.wait = lambda: release.wait(60)
    with cached(app.wsgi) as live, live.live.client() as one, live.live.client() as two:
        one.request("GET", "/same")
        eventually(lambda: app.calls == 1)
        app.wait = lambda: None
        two.request("GET", "/same")
        assert two.reply().body == b"response 2"
        release.set()
        assert one.reply().body == b"response 1"


def test_a_failure_of_the_view_ends_the_waiting() -> None:
    app = Counting(FRESH)
    release = threading.Event()

    def fail() -> None:
        release.wait(60)
        raise RuntimeError("broken")

    app.wait = fail
    with cached(app.wsgi) as live, live.live.client() as one, live.live.client() as two:
        one.request("GET", "/same")
        eventually(lambda: app.calls == 1)
        two.request("GET", "/same")
        eventually(lambda: live.figures["waited"] == 1)
        app.wait = lambda: None
        release.set()
        assert one.reply().status == 500
        assert two.reply().body == b"response 2"


def test_a_client_that_leaves_while_it_waits_does_no_harm() -> None:
    app = Counting(FRESH)
    release = threading.Event()
    app.wait = lambda: release.wait(60)
    with cached(app.wsgi) as live, live.live.client() as one:
        one.request("GET", "/same")
        eventually(lambda: app.calls == 1)
        with live.live.client() as two:
            two.request("GET", "/same")
            eventually(lambda: live.figures["waited"] == 1)
        release.set()
        assert one.reply().body == b"response 1"
        assert live.ask("/same").body == b"response 1"


def test_mounted_applications_have_keys_of_their_own() -> None:
    root, api = Counting(FRESH), Counting(FRESH)
    root.calls = 10
    with cached(carboy.mount(root.wsgi, {"/api": api.wsgi})) as live:
        for _ in range(2):
            assert live.ask("/users").body == b"response 11"
            assert live.ask("/api/users").body == b"response 1"
        assert live.ask("http://example.test/users").body == b"response 11"


@pytest.mark.parametrize("kind", ["wsgi", "direct"])
def test_a_mounted_application_refreshes_its_response(
    kind: str, later: Callable[[float], None]
) -> None:
    header = ("Cache-Control", "max-age=60, stale-while-revalidate=30")
    root, api = Counting(header), Counting(header)
    root.calls = 10
    with cached(carboy.mount(root.of(kind), {"/api": api.of(kind)})) as live:
        assert live.ask("/api/users").body == b"response 1"
        later(70)
        assert live.ask("/api/users").body == b"response 1"
        eventually(lambda: live.figures["stored"] == 2)
        assert live.ask("/api/users").body == b"response 2"
    assert root.calls == 10


def test_write_and_streams_of_events_are_passed_through() -> None:
    def writing(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [FRESH])(b"one ")
        return [b"two"]

    with cached(writing) as live:
        assert [live.ask().body for _ in range(2)] == [b"one two"] * 2
        assert live.figures["stored"] == 0


@pytest.mark.parametrize("kind", ["file", "large"])
def test_files_and_large_responses_are_passed_through(kind: str, tmp_path: Path) -> None:
    app = carboy.Carboy("cache-test", static_folder=None)
    path = tmp_path / "page.html"
    path.write_bytes(b"x" * (100 if kind == "file" else 20_000))

    @app.get("/")
    def view() -> Any:
        made: Any = carboy.send_file(path) if kind == "file" else path.read_bytes()
        return carboy.make_response(made, 200, {"Cache-Control": "max-age=60"})

    with cached(app, size=100_000) as live:
        for _ in range(2):
            found = live.ask()
            assert found.body == path.read_bytes()
            assert found.headers["Cache-Status"] == "carboy; fwd=miss"
        assert live.figures["stored"] == 0


def test_memory_is_bounded_and_what_is_used_stays() -> None:
    store = Store(10_000)
    found = lifetime("200 OK", [FRESH], False)
    assert found is not None
    for number in range(50):
        kept = Kept("200 OK", [FRESH], b"x" * 400, found)
        assert store.keep(("http", "h", f"/{number}"), (), {}, kept)
        assert store.find(("http", "h", "/0"), {}) is not None
        assert store.used <= 10_000
    assert store.find(("http", "h", "/1"), {}) is None
    assert store.figures["evicted"] > 30
    assert not store.keep(("http", "h", "/big"), (), {}, Kept("200 OK", [], b"x" * 2000, found))
    for number in range(200):
        kept = Kept("200 OK", [FRESH], b"", found)
        store.keep(("http", "h", "/v"), ("a",), {"a": str(number)}, kept)
    assert store.used <= 10_000
    for number in range(50):
        store.forget(("http", "h", f"/{number}"))
    store.forget(("http", "h", "/v"))
    assert store.used == 0


def test_directives_are_read_as_they_are_written() -> None:
    assert directives('Max-Age=5, no-cache="set-cookie", x') == {
        "max-age": "5",
        "no-cache": "set-cookie",
        "x": "",
    }
    assert asked_by({"cache-control": "max-age=99999999999"}).max_age == 2**31
    assert varies_by([("Vary", "B, a"), ("vary", "A")]) == ("a", "b")
