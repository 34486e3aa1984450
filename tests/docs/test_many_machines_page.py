"""docs/many-machines.md: its files work with real servers, and its programs run."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import flask_caching
import httpx
import pytest
from websockets.sync.client import unix_connect

from carboy import Carboy
from carboy.engine_url import BUFFER
from carboy.realtime.engines.nats_link import LONGEST, MOST
from carboy.realtime.engines.remote import PRESENCE
from carboy.shared.limits import SETTINGS as LIMIT_SETTINGS
from carboy.shared.sessions import DEFAULTS as SESSION_SETTINGS
from chromium import program
from engine_servers import redis_server
from running import PATIENCE, Running, die_with_parent

PAGE = (Path(__file__).parents[2] / "docs" / "many-machines.md").read_text()
ECHO = """
async def app(scope, receive, send):
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
"""


def snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def with_addresses(config: str, site: Site) -> str:
    for number, server in enumerate(site.servers, 1):
        config = config.replace(f"10.0.0.{number}:8000", "{}:{}".format(*server.address()))
    assert "10.0.0" not in config
    return config


class Site:
    """Two servers that share a Redis server, behind a proxy at a unix socket."""

    def __init__(self, servers: list[Running], folder: Path) -> None:
        self.servers = servers
        self.folder = folder
        self.path = folder / "web"

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(
            transport=httpx.HTTPTransport(uds=str(self.path)), base_url="http://shop.example",
            timeout=PATIENCE, **options,
        )  # fmt: skip


def nginx(site: Site) -> list[str]:
    config = with_addresses(snippets("nginx")[0], site)
    config = config.replace("listen 80;", f"listen unix:{site.path};")
    paths = "".join(
        f"{name}_temp_path {site.folder};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (site.folder / "nginx.conf").write_text(
        f"daemon off; user root; pid {site.folder}/pid; error_log {site.folder}/log;"
        f"events {{}} http {{ access_log off; {paths}\n{config} }}"
    )
    return ["nginx", "-p", str(site.folder), "-c", str(site.folder / "nginx.conf")]


def haproxy(site: Site) -> list[str]:
    config = with_addresses(snippets("haproxy")[0], site)
    config = config.replace("bind :80", f"bind unix@{site.path} mode 666")
    (site.folder / "haproxy.cfg").write_text(config)
    return ["haproxy", "-db", "-f", str(site.folder / "haproxy.cfg")]


@pytest.fixture(scope="module", params=[nginx, haproxy], ids=["nginx", "haproxy"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    (folder / "shop.py").write_text(snippets("python")[0])
    (folder / "echo.py").write_text(ECHO)
    make: Callable[[Site], list[str]] = request.param
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server())
        env = {"SECRET_KEY": "test", "SHARED_URL": redis.url}
        command = (
            "run", "shop:app", "--port", "0", "--channels", redis.url, "--mount", "/echo=echo:app",
        )  # fmt: skip
        servers = [stack.enter_context(Running(*command, cwd=folder, env=env)) for _ in range(2)]
        site = Site(servers, folder)
        name, *arguments = make(site)
        process = subprocess.Popen(
            [program(name), *arguments],
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one call into the kernel
        )
        stack.callback(process.wait, PATIENCE)
        stack.callback(process.kill)
        await_answer(site)
        yield site


def await_answer(site: Site) -> None:
    """Wait until the proxy listens and knows that its servers are healthy."""
    deadline = time.monotonic() + PATIENCE
    while not answers(site):
        assert time.monotonic() < deadline, "the proxy does not answer"
        time.sleep(0.05)  # the proxies do not say when they are ready


def answers(site: Site) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(site.path)):
            return False
    with site.client() as client:
        return client.get("/health").status_code == 200


def test_a_session_is_that_of_both_machines(site: Site) -> None:
    with site.client() as client:
        assert client.post("/log-in", data={"user": "Ada"}).text == "Welcome."
        assert {client.get("/").text for _ in range(20)} == {"Hello, Ada."}
    for server in site.servers:
        server.line('"GET / HTTP/1.1"')


def test_a_limit_is_that_of_both_machines_and_of_each_client(site: Site) -> None:
    with site.client() as client:
        # What the client says about its address does not matter.
        headers = {"X-Real-IP": "192.0.2.1"}
        found = [
            client.post("/log-in", data={"user": "Bob"}, headers=headers | {"X-Try": str(number)})
            for number in range(25)
        ]
    counted = [each for each in found if each.status_code == 200]
    refused = [each for each in found if each.status_code == 429]
    assert 15 <= len(counted) <= 20
    assert len(counted) + len(refused) == 25
    assert refused[-1].headers["Retry-After"]


def events(response: httpx.Response) -> Iterator[tuple[str, str]]:
    """The id and data of the events of a stream."""
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif "data" in fields:
            yield fields.get("id", ""), fields["data"]
            fields = {}


def test_news_reach_streams_through_the_proxy_at_once_and_after_a_reconnection(site: Site) -> None:
    with site.client() as client, site.client() as publisher:
        before = publisher.post("/news", data={"text": "before"}).text
        with client.stream("GET", "/events", headers={"Last-Event-ID": before}) as response:
            assert response.headers["Content-Type"].startswith("text/event-stream")
            found = events(response)
            # The stream stays open, so a proxy that buffers would keep these.
            ids = []
            for number in range(4):
                ids.append(publisher.post("/news", data={"text": str(number)}).text)
                assert next(found) == (ids[-1], str(number))
        with client.stream("GET", "/events", headers={"Last-Event-ID": ids[1]}) as response:
            found = events(response)
            assert [next(found)[1], next(found)[1]] == ["2", "3"]


def test_websockets_pass_the_proxy(site: Site) -> None:
    with unix_connect(str(site.path), "ws://shop.example/echo/") as client:
        for text in ("hello", "x" * 100_000):
            client.send(text)
            assert client.recv(PATIENCE) == text


def test_when_a_machine_stops_the_other_one_continues(site: Site) -> None:
    """The last test of a site: one server does not run after it."""
    with site.client() as client:
        client.post("/log-in", data={"user": "Ada"})  # may be refused by the limit
        known = client.get("/").text
        assert site.servers[0].stop() == 0
        for _ in range(10):
            assert client.get("/").text == known


# --- the other programs and the tables ---------------------------------------------------


def test_the_limits_of_the_page_work() -> None:
    names: dict[str, Any] = {"__name__": "page"}
    exec(snippets("python")[1], names)
    app: Carboy = names["app"]
    client = app.test_client()
    assert [client.get("/api/search").status_code for _ in range(3)] == [200, 200, 429]
    assert [client.get("/health").status_code for _ in range(9)] == [200] * 9


def test_the_cache_of_the_page_is_made() -> None:
    names: dict[str, Any] = {"__name__": "page"}
    exec(snippets("python")[2], names)
    assert isinstance(names["cache"], flask_caching.Cache)


def test_the_tables_have_the_settings() -> None:
    documented = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert {name for name in documented if name.startswith("SESSION_")} == {
        *SESSION_SETTINGS, "SESSION_REDIS",
    }  # fmt: skip
    assert {name for name in documented if name.startswith("LIMIT_")} == set(LIMIT_SETTINGS)


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    assert f"for up to {PRESENCE:.0f} s" in PAGE
    assert f"| `buffer=N` | {BUFFER} |" in PAGE
    assert f"at most {MOST:,} messages of each channel, for at most a day" in PAGE
    assert LONGEST == 24 * 3600
