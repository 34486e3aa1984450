"""--root-path and --host-allow, on every lane."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import carboy
from carboy.gateway import for_application
from carboy.gateway.entrance import AllowedHosts, entered
from carboy.server.settings import Settings, with_values
from carboy.server.static_files import StaticFiles, with_static_files
from live_engine import Live, eventually, served


def flask_app() -> carboy.Flask:
    app = carboy.Flask("entrance")

    @app.route("/facts", methods=["GET", "POST"])
    def facts() -> dict[str, Any]:
        request = carboy.request
        return {
            "root": request.script_root,
            "path": request.path,
            "url": request.url,
            "built": carboy.url_for("facts"),
            "scope": None,
        }

    return app


def wsgi_app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    url = environ["SCRIPT_NAME"] + environ["PATH_INFO"]
    return [
        json.dumps(
            {"root": environ["SCRIPT_NAME"], "path": environ["PATH_INFO"], "url": url}
        ).encode()
    ]


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    found = {"root": scope["root_path"], "path": scope["path"], "raw": scope["raw_path"].decode()}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(found).encode()})


@contextmanager
def at(app: Any, root_path: str = "", hosts: tuple[str, ...] = (), **more: Any) -> Iterator[Live]:
    trust = with_values(Settings(), {"root_path": root_path, "host_allow": hosts}).trust
    gateway: Any = for_application(app, "auto", "asyncio")
    if hasattr(gateway, "start"):
        gateway.start()
    try:
        with served(
            app, gateway=entered(gateway, trust.root_path, trust.host_allow), **more
        ) as live:
            yield live
    finally:
        if hasattr(gateway, "stop"):
            gateway.stop(5)


def got(live: Live, path: str, **headers: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(live.get(path, **headers).body)
    return found


def test_nothing_is_between_without_the_options() -> None:
    gateway: Any = for_application(flask_app())
    assert entered(gateway, "", ()) is gateway


# --- --root-path


@pytest.mark.parametrize("path", ["/facts", "/shop/facts", "/%73hop/facts"])
def test_the_prefix_is_taken_from_the_path_if_it_is_there(path: str) -> None:
    with at(flask_app(), "/shop/") as live:
        found = got(live, path)
    assert (found["root"], found["path"], found["built"]) == ("/shop", "/facts", "/shop/facts")
    assert found["url"] == "http://example.test/shop/facts"


def test_it_fits_whole_segments() -> None:
    with at(wsgi_app, "/shop") as live:
        assert got(live, "/shopping")["path"] == "/shopping"
        assert got(live, "/shop") == {"root": "/shop", "path": "", "url": "/shop"}


def test_a_prefix_may_have_several_segments_and_any_letter() -> None:
    with at(wsgi_app, "/a/caf%C3%A9") as live:
        found = got(live, "/a/caf%C3%A9/x")
        assert found["root"].encode("latin-1").decode() == "/a/café"
        assert found["path"] == "/x"


@pytest.mark.parametrize("path", ["/x%20y", "/shop/x%20y"])
def test_the_path_of_a_scope_has_the_prefix(path: str) -> None:
    with at(asgi_app, "/shop") as live:
        assert got(live, path) == {"root": "/shop", "path": "/shop/x y", "raw": "/shop/x%20y"}


def test_mounted_applications_are_below_the_prefix() -> None:
    mounts = carboy.mount(flask_app(), {"/api": wsgi_app, "/asgi": asgi_app})
    with at(mounts, "/shop") as live:
        for path in ("/api/x", "/shop/api/x"):
            assert got(live, path) == {"root": "/shop/api", "path": "/x", "url": "/shop/api/x"}
        assert got(live, "/shop/asgi/x")["path"] == "/shop/asgi/x"
        assert got(live, "/asgi/x")["root"] == "/shop/asgi"
        assert got(live, "/facts")["url"] == "http://example.test/shop/facts"


def test_the_prefix_of_a_trusted_proxy_has_precedence() -> None:
    with at(wsgi_app, "/shop", trusted_proxies="127.0.0.1") as live:
        found = got(live, "/shop/facts", **{"X-Forwarded-Prefix": "/other"})
        assert (found["root"], found["path"]) == ("/other", "/shop/facts")
        found = got(live, "/shop/facts", **{"X-Forwarded-Prefix": "/shop"})
        assert (found["root"], found["path"]) == ("/shop", "/facts")


def test_the_log_has_the_path_of_the_client() -> None:
    with at(flask_app(), "/shop", record=True) as live:
        got(live, "/shop/facts")
        eventually(lambda: live.records)
        assert live.records[0][2].request_line() == "GET /shop/facts HTTP/1.1"


@pytest.mark.parametrize("path", ["shop", "/a//b", "/a/../b", "/a?b"])
def test_a_root_path_that_is_not_a_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="--root-path: The prefix"):
        with_values(Settings(), {"root_path": path})


# --- --host-allow

NAMES = ("shop.example", "*.shops.example", "192.0.2.7", "2001:db8::7")


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("shop.example", True),
        ("SHOP.example.:8000", True),
        ("a.shops.example", True),
        ("a.b.shops.example:1", True),
        ("192.0.2.7:80", True),
        ("[2001:DB8:0::7]:80", True),
        ("shops.example", False),
        (".shops.example", False),
        ("www.shop.example", False),
        ("evilshop.example", False),
        ("192.0.2.8", False),
        ("", False),
    ],
)
def test_names_and_subdomains_are_allowed(host: str, allowed: bool) -> None:
    assert AllowedHosts(NAMES).allows(host) is allowed


def test_an_international_name_is_that_which_clients_send() -> None:
    hosts = AllowedHosts(("bücher.example", "*.bücher.example"))
    assert hosts.allows("xn--bcher-kva.example")
    assert hosts.allows("a.xn--bcher-kva.example:8000")


def test_static_files_are_below_the_prefix(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("static")
    inner = with_static_files(for_application(wsgi_app), StaticFiles((f"/assets={tmp_path}",)))
    with served(wsgi_app, gateway=entered(inner, "/shop", ())) as live:
        for path in ("/shop/assets/a.txt", "/assets/a.txt"):
            assert live.get(path).body == b"static"


def test_the_word_address_allows_addresses_and_no_host() -> None:
    hosts = AllowedHosts(("shop.example", "address"))
    assert [hosts.allows(host) for host in ("10.0.0.1:80", "[::1]", "", "other.example")] == [
        *(True, True, True, False)
    ]


@pytest.mark.parametrize("name", ["shop.example:80", "*", "*.", "a/b", "//a", "a*.b", "[::1]x"])
def test_something_that_is_not_a_host_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"--host-allow: .* is not a host"):
        with_values(Settings(), {"host_allow": [name]})


@pytest.mark.parametrize("app", [flask_app(), wsgi_app, asgi_app], ids=["direct", "WSGI", "ASGI"])
def test_other_hosts_get_421(app: Any) -> None:
    with at(app, hosts=("shop.example",)) as live:
        assert live.get("/facts", Host="shop.example").status == 200
        refused = live.get("/facts", Host="other.example")
        assert refused.status == 421
        assert b"does not answer for this host" in refused.body
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
        assert live.get("/facts", Host="other.example", **upgrade).status == 421


def test_a_body_for_another_host_is_not_waited_for() -> None:
    with at(flask_app(), hosts=("shop.example",)) as live, live.client() as client:
        client.send(b"POST /facts HTTP/1.1\r\nHost: other\r\nContent-Length: 1000000\r\n\r\n")
        assert client.reply("POST").status == 421


def test_the_host_of_a_trusted_proxy_counts() -> None:
    with at(flask_app(), hosts=("shop.example",), trusted_proxies="127.0.0.1") as live:
        assert live.get("/facts", **{"X-Forwarded-Host": "shop.example"}).status == 200
        assert (
            live.get("/facts", Host="shop.example", **{"X-Forwarded-Host": "evil.example"}).status
            == 421
        )
