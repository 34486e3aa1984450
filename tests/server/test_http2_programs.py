"""Clients that people use, over TLS: curl, httpx, h2load and a browser."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from carboy import Carboy, Response, request
from carboy.net.tls_files import Pair
from carboy.net.tls_server import TlsOptions, TlsServer
from certificates import Authority
from chromium import chromium, program
from live_engine import Live, served

AUTHORITY = Authority()
app = Carboy(__name__)


@app.get("/")
def hello() -> str:
    return "hello"


@app.websocket("/socket")
def socket(ws: Any) -> None:
    for message in ws:
        ws.send(f"{request.environ['SERVER_PROTOCOL']} {message}")


@app.post("/echo")
def echo() -> bytes:
    return request.get_data()


@app.get("/pieces")
def pieces() -> Response:
    return Response(b"x" * 20_000 for _ in range(20))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("http2")
    AUTHORITY.sign("localhost").write(folder)
    (folder / "ca.pem").write_text(AUTHORITY.pem)
    return folder


@pytest.fixture(scope="module")
def live(folder: Path) -> Iterator[Live]:
    pair = Pair(str(folder / "server.pem"), str(folder / "server-key.pem"))
    tls = TlsServer(TlsOptions(pairs=(pair,), protocols=("h2", "http/1.1")))
    with served(app, wrap=tls, record=True) as live:
        yield live


def test_curl(live: Live, folder: Path) -> None:
    url = f"https://localhost:{live.port}"
    curl = [program("curl"), "-sS", "--http2", "--cacert", str(folder / "ca.pem"), "-w"]
    curl.append("%{http_version} %{size_download}\n")
    asked = [*curl, "-o", "/dev/null", f"{url}/pieces"]
    assert subprocess.check_output(asked, timeout=60) == b"2 400000\n"
    asked = [*curl, "-d", "a" * 70_000, "-o", "/dev/null", f"{url}/echo"]
    assert subprocess.check_output(asked, timeout=60) == b"2 70000\n"


def test_curl_and_httpx_see_a_response_that_comes_before_the_end_of_the_request(
    folder: Path,
) -> None:
    (folder / "large").write_bytes(b"x" * 3_000_000)
    with served(app, h2c=True, limit_body=100_000) as live:
        url = f"http://127.0.0.1:{live.port}/echo"
        curl = [program("curl"), "-sS", "--http2-prior-knowledge", "-o", "/dev/null", "-w"]
        asked = [*curl, "%{http_code}", "--data-binary", f"@{folder / 'large'}", url]
        assert subprocess.check_output(asked, timeout=60) == b"413"
        with httpx.Client(http1=False, http2=True) as client:
            assert client.post(url, content=b"x" * 3_000_000).status_code == 413


def test_httpx(live: Live) -> None:
    with httpx.Client(http2=True, verify=AUTHORITY.client()) as client:
        url = f"https://localhost:{live.port}"
        reply = client.get(url)
        assert (reply.http_version, reply.text) == ("HTTP/2", "hello")
        assert len(client.get(f"{url}/pieces").content) == 400_000
        body = b"y" * 200_000
        assert client.post(f"{url}/echo", content=body).content == body


def test_h2load(live: Live) -> None:
    load = [
        program("h2load"),
        "-n",
        "400",
        "-c",
        "4",
        "-m",
        "20",
        f"https://localhost:{live.port}/",
    ]
    out = subprocess.check_output(load, timeout=100).decode()
    assert "400 succeeded, 0 failed, 0 errored" in out
    assert "Application protocol: h2" in out


def test_a_browser(live: Live) -> None:
    with chromium() as browser:
        page = browser.new_context(ignore_https_errors=True).new_page()
        page.goto(f"https://localhost:{live.port}/")
        found = page.evaluate("""async () => {
            const get = () => fetch('/pieces').then(r => r.arrayBuffer());
            const sizes = (await Promise.all([...Array(20)].map(get))).map(each => each.byteLength);
            const sent = {method: 'POST', body: new Uint8Array(1000000)};
            const echo = await fetch('/echo', sent).then(r => r.arrayBuffer());
            const kinds = performance.getEntriesByType('resource').map(e => e.nextHopProtocol);
            return [[...new Set(sizes)], echo.byteLength, [...new Set(kinds)]];
        }""")
        assert found == [[400_000], 1_000_000, ["h2"]]


def test_a_browser_opens_a_websocket_on_its_connection(live: Live) -> None:
    with chromium() as browser:
        page = browser.new_context(ignore_https_errors=True).new_page()
        page.goto(f"https://localhost:{live.port}/")
        found = page.evaluate("""() => new Promise((done, failed) => {
            const ws = new WebSocket(`wss://${location.host}/socket`);
            ws.onopen = () => ws.send('hello');
            ws.onmessage = event => { done(event.data); ws.close(); };
            ws.onerror = () => failed('error');
        })""")
        assert found == "HTTP/2 hello"
