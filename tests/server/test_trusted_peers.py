"""Forwarded fields on every lane, over real sockets: all attributes and logs agree."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import carboy
from carboy.app.sessions import SecureCookieSessionInterface
from carboy.gateway.mounts import Mounts
from carboy.middleware.proxy_fix import ProxyFix
from carboy.net import listen_unix
from carboy.server.logs.formats import Common
from carboy.serving import make_server
from live_asgi import served_asgi, served_mounts
from live_engine import Live, eventually, served

SENT = {
    "X-Forwarded-For": "6.6.6.6, 192.0.2.1",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "shop.example",
    "X-Forwarded-Port": "8443",
    "X-Forwarded-Prefix": "/shop",
}
EXPECTED = {
    "remote_addr": "192.0.2.1",
    "access_route": ["192.0.2.1"],
    "scheme": "https",
    "is_secure": True,
    "host": "shop.example:8443",
    "script_root": "/shop",
    "url": "https://shop.example:8443/shop/facts",
    "built": "https://shop.example:8443/shop/facts",
    "forwarded": "192.0.2.1",
}
UNTRUSTED = {
    "remote_addr": "127.0.0.1",
    "access_route": ["127.0.0.1"],
    "scheme": "http",
    "is_secure": False,
    "host": "example.test",
    "script_root": "",
    "url": "http://example.test/facts",
    "built": "http://example.test/facts",
    "forwarded": None,
}


def flask_app() -> carboy.Flask:
    app = carboy.Flask("facts")
    app.secret_key = "k"

    @app.get("/facts")
    def facts() -> dict[str, Any]:
        request = carboy.request
        return {
            "remote_addr": request.remote_addr,
            "access_route": list(request.access_route),
            "scheme": request.scheme,
            "is_secure": request.is_secure,
            "host": request.host,
            "script_root": request.script_root,
            "url": request.url,
            "built": carboy.url_for("facts", _external=True),
            "forwarded": request.headers.get("X-Forwarded-For"),
        }

    app.add_url_rule("/folder/", "folder", lambda: "folder")
    app.add_url_rule("/go", "go", lambda: carboy.redirect(carboy.url_for("facts")))
    return app


def direct() -> Any:
    return flask_app()


def wrapped() -> Any:
    app = flask_app()
    app.wsgi_app = partial(app.wsgi_app)  # type: ignore[method-assign]
    return app


def behind(**counts: int) -> Callable[[], Any]:
    def build() -> Any:
        app = flask_app()
        app.wsgi_app = ProxyFix(app.wsgi_app, **counts)  # type: ignore[method-assign]
        return app

    return build


ALL = {"x_for": 1, "x_proto": 1, "x_host": 1, "x_port": 1, "x_prefix": 1}
LANES = {
    "direct": direct,
    "WSGI": wrapped,
    "ProxyFix": behind(),
    "ProxyFix for everything": behind(**ALL),
    "ProxyFix for two proxies": behind(**dict.fromkeys(ALL, 2)),
}


def facts_of(live: Live, **headers: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(live.get("/facts", **headers).body)
    return found


@contextmanager
def on_a_unix_socket(app: Any, tmp_path: Path, **settings: Any) -> Iterator[Live]:
    serve = {scope_app: served_asgi}.get(app, served_mounts if isinstance(app, Mounts) else served)
    with serve(app, listener=listen_unix(str(tmp_path / "s")), **settings) as live:
        yield live


@pytest.mark.parametrize("lane", LANES)
def test_a_trusted_proxy_is_believed_once(lane: str) -> None:
    with served(LANES[lane](), trusted_proxies="127.0.0.1", record=True) as live:
        with live.client() as client:
            for _ in range(3):  # the second and third are like the first
                client.request("GET", "/facts", SENT)
                assert json.loads(client.reply().body) == EXPECTED
        eventually(lambda: len(live.records) == 3)
        assert {record[1] for record in live.records} == {"192.0.2.1"}
        assert Common()(live.records[0]).startswith("192.0.2.1 - - [")


@pytest.mark.parametrize("lane", LANES)
def test_fields_of_a_stranger_do_not_reach_the_application(lane: str) -> None:
    with served(LANES[lane](), record=True) as live:
        assert facts_of(live, **SENT, Forwarded="for=6.6.6.6") == UNTRUSTED
        eventually(lambda: live.records)
        assert live.records[0][1] == "127.0.0.1"


def test_a_unix_socket_is_trusted_by_default(tmp_path: Path) -> None:
    with on_a_unix_socket(flask_app(), tmp_path) as live:
        assert facts_of(live, **SENT) == EXPECTED


def test_forwarded_alone_gives_the_same(tmp_path: Path) -> None:
    with on_a_unix_socket(flask_app(), tmp_path) as live:
        found = facts_of(
            live, Forwarded='for=6.6.6.6, for="192.0.2.1:80";proto=https;host="shop.example:8443"'
        )
        assert found["url"] == "https://shop.example:8443/facts"
        assert found["remote_addr"] == "192.0.2.1"


def test_redirects_lead_to_the_host_of_the_client(tmp_path: Path) -> None:
    with on_a_unix_socket(flask_app(), tmp_path) as live:
        assert live.get("/folder", **SENT).headers["Location"] == (
            "https://shop.example:8443/shop/folder/"
        )
        assert live.get("/go", **SENT).headers["Location"] == "/shop/facts"


def test_a_request_with_a_body_and_one_after_it_are_told_apart(tmp_path: Path) -> None:
    app = flask_app()
    app.add_url_rule(
        "/up", "up", lambda: f"{carboy.request.remote_addr} {carboy.request.get_data()!r}",
        methods=["POST"],
    )  # fmt: skip
    with on_a_unix_socket(app, tmp_path) as live, live.client() as client:
        client.request("POST", "/up", {"X-Forwarded-For": "192.0.2.1"}, b"body")
        assert client.reply().body == b"192.0.2.1 b'body'"
        client.request("POST", "/up", {"X-Forwarded-For": "192.0.2.2"}, b"more")
        assert client.reply().body == b"192.0.2.2 b'more'"
        client.request("POST", "/up", {}, b"none")
        assert client.reply().body == b" b'none'"


def test_secure_cookies_know_the_scheme(tmp_path: Path) -> None:
    app = flask_app()

    class WhenSecure(SecureCookieSessionInterface):
        def get_cookie_secure(self, app: Any) -> bool:
            return carboy.request.is_secure

    app.session_interface = WhenSecure()

    @app.get("/write")
    def write() -> str:
        carboy.session["n"] = 1
        return "written"

    with on_a_unix_socket(app, tmp_path) as live:
        secure = live.get("/write", **{"X-Forwarded-Proto": "https"})
        assert "; Secure;" in secure.headers["Set-Cookie"]
        assert "Secure" not in live.get("/write").headers["Set-Cookie"]


def test_rate_limits_count_the_client(tmp_path: Path) -> None:
    app = flask_app()
    app.add_url_rule("/limited", "limited", carboy.limit("1/hour")(lambda: "ok"))
    with on_a_unix_socket(app, tmp_path) as live:
        answers = [
            live.get("/limited", **{"X-Forwarded-For": f"6.6.6.{number}, {client}"}).status
            for number, client in enumerate(["192.0.2.1", "192.0.2.1", "192.0.2.2"])
        ]
    assert answers == [200, 429, 200]


# --- ASGI


async def scope_app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        return
    found = {name: scope[name] for name in ("client", "scheme", "root_path", "path", "type")}
    found["raw_path"] = scope["raw_path"].decode()
    found["fields"] = {name.decode(): value.decode() for name, value in scope["headers"]}
    body = json.dumps(found).encode()
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.http.response.start", "status": 200, "headers": []})
        await send({"type": "websocket.http.response.body", "body": body})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


@pytest.mark.parametrize("upgrade", [{}, UPGRADE], ids=["http", "websocket"])
def test_the_scope_has_the_facts(upgrade: dict[str, str], tmp_path: Path) -> None:
    with on_a_unix_socket(scope_app, tmp_path) as live:
        found = json.loads(live.get("/a%20b", **SENT, **upgrade).body)
    assert found["client"] == ["192.0.2.1", 0]
    assert found["scheme"] == ("wss" if upgrade else "https")
    assert (found["root_path"], found["path"]) == ("/shop", "/shop/a b")
    assert found["raw_path"] == "/shop/a%20b"
    assert found["fields"]["host"] == "shop.example:8443"
    assert found["fields"]["x-forwarded-for"] == "192.0.2.1"


def test_the_scope_of_a_stranger_has_no_such_fields() -> None:
    with served_asgi(scope_app) as live:
        found = json.loads(live.get("/a", **SENT).body)
    assert found["client"][0] == "127.0.0.1"
    assert found["scheme"] == "http"
    assert found["fields"] == {"host": "example.test"}


def test_a_mounted_application_has_both_prefixes(tmp_path: Path) -> None:
    mounts = carboy.mount(flask_app(), {"/api": flask_app(), "/asgi": scope_app})
    with on_a_unix_socket(mounts, tmp_path) as live:
        found = json.loads(live.get("/api/facts", **SENT).body)
        assert found["url"] == "https://shop.example:8443/shop/api/facts"
        found = json.loads(live.get("/asgi/x", **SENT).body)
        assert (found["root_path"], found["path"]) == ("/shop/asgi", "/shop/asgi/x")


# --- WebSocket of a Carboy application


@pytest.mark.parametrize(
    ("origin", "status"), [("https://shop.example", 101), ("https://example.test", 403)]
)
def test_the_origin_of_a_websocket_is_compared_with_the_forwarded_host(
    origin: str, status: int, tmp_path: Path
) -> None:
    app = flask_app()
    app.add_websocket("/ws", "ws", lambda ws: None)
    headers = {"X-Forwarded-Host": "shop.example", "X-Forwarded-Proto": "https", "Origin": origin}
    with on_a_unix_socket(app, tmp_path) as live, live.client() as client:
        client.request("GET", "/ws", {**headers, **UPGRADE})
        assert client.until(b"\r\n").split()[1] == str(status).encode()


def test_the_setting_for_origins_is_compared_with_it_too(tmp_path: Path) -> None:
    headers = {"X-Forwarded-Host": "shop.example", "Origin": "http://example.test", **UPGRADE}
    with on_a_unix_socket(scope_app, tmp_path, websocket_origins="same") as live:
        assert live.get("/", **headers).status == 403
        assert live.get("/", **{**headers, "Origin": "http://shop.example"}).status == 200


# --- HSTS


@pytest.mark.parametrize("app", ["whole", "streamed"])
def test_hsts_is_sent_to_clients_that_have_connected_over_tls(app: str, tmp_path: Path) -> None:
    name = "Strict-Transport-Security"
    shop = flask_app()
    shop.add_url_rule("/whole", "whole", lambda: "whole")
    shop.add_url_rule("/streamed", "streamed", lambda: (each for each in ("a", "b")))
    shop.add_url_rule("/own", "own", lambda: ("", {name: "max-age=1"}))
    with on_a_unix_socket(shop, tmp_path, hsts=60) as live, live.client() as client:
        for scheme, expected in (("https", "max-age=60"), ("http", None), ("https", "max-age=60")):
            client.request("GET", f"/{app}", {"X-Forwarded-Proto": scheme})
            assert client.reply().headers[name] == expected
        client.request("GET", f"/{app}")
        assert client.reply().headers[name] is None
        client.request("GET", "/own", {"X-Forwarded-Proto": "https"})
        assert client.reply().headers.get_all(name) == ["max-age=1"]


def test_hsts_is_not_sent_because_a_stranger_says_https() -> None:
    with served(flask_app(), hsts=60) as live:
        reply = live.get("/facts", **{"X-Forwarded-Proto": "https"})
        assert reply.headers["Strict-Transport-Security"] is None


# --- servers under Werkzeug's names


def test_make_server_leaves_the_fields_to_the_application() -> None:
    app = flask_app()
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("GET", "/facts", headers=SENT)
        found = json.loads(connection.getresponse().read())
        connection.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert (found["remote_addr"], found["scheme"]) == ("192.0.2.1", "https")
    assert found["forwarded"] == "6.6.6.6, 192.0.2.1"
