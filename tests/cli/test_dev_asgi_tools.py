"""The tools of `carboy dev` around ASGI applications: debugger, live page, list of requests."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

pytest.importorskip("fastapi")
from fastapi import FastAPI, Request  # noqa: E402
from fastapi.responses import HTMLResponse  # noqa: E402

from carboy import Carboy  # noqa: E402
from carboy.cli.dev.tools import Tools  # noqa: E402
from carboy.dev.live import Broadcaster  # noqa: E402
from carboy.gateway import for_application, mount  # noqa: E402
from live_engine import Client, Live, Reply, served  # noqa: E402
from running import PATIENCE  # noqa: E402

PAGE = "<!doctype html><html><body><h1>page</h1></body></html>"
BROWSER = {"Host": "localhost", "Accept": "text/html"}
PIN = "123-456-789"
log = logging.getLogger("of the application")


def application() -> FastAPI:
    app = FastAPI()

    @app.get("/", response_class=HTMLResponse)
    async def page() -> str:
        return PAGE

    @app.get("/fails")
    async def fails(divisor: int = 0) -> float:
        return 1 / divisor

    @app.get("/answers")
    async def answers() -> HTMLResponse:
        try:
            raise LookupError("handled")
        except LookupError:
            log.exception("It has failed.")
        return HTMLResponse("their own page", 500)

    @app.post("/notes")
    async def notes(request: Request) -> dict[str, Any]:
        log.warning("a warning")
        with sqlite3.connect(":memory:") as connection:
            (two,) = connection.execute("select 1 + 1").fetchone()
        return {"size": len(await request.body()), "two": two}

    @app.get("/in-thread")
    def in_thread() -> str:
        log.warning("from a thread")
        return "ok"

    return app


class Site:
    """Applications with the tools around them, on an engine, and a browser."""

    def __init__(self, live: Live, broadcaster: Broadcaster) -> None:
        self.live = live
        self.broadcaster = broadcaster
        self.cookie = ""

    def get(self, path: str, **headers: str) -> Reply:
        return self.live.get(path, **{**BROWSER, "Cookie": self.cookie, **headers})

    def post(self, path: str, form: dict[str, str], **headers: str) -> Reply:
        with self.live.client() as client:
            return posted(client, path, {"Cookie": self.cookie, **headers}, urlencode(form))

    def unlock(self) -> None:
        reply = self.post("/__carboy__/", {"pin": PIN})
        assert reply.status == 303, reply.body
        self.cookie = reply.headers["Set-Cookie"].partition(";")[0]

    def requests(self) -> list[Any]:
        found: list[Any] = json.loads(self.get("/__carboy__/requests.json").body)
        return found

    def number(self, target: str) -> int:
        """The number of a request, which is in the list soon after the response."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for each in self.requests():
                if each["target"] == target:
                    return int(each["number"])
        raise AssertionError(f"{target} is not in the list")

    def details(self, target: str) -> str:
        number = self.number(target)
        return unescape(self.get(f"/__carboy__/{number}").body.decode())


def posted(client: Client, path: str, headers: dict[str, str], body: str) -> Reply:
    kind = "application/x-www-form-urlencoded"
    client.request("POST", path, {**BROWSER, "Content-Type": kind, **headers}, body.encode())
    return client.reply("POST")


@contextmanager
def developed(app: Any, folder: Path, **options: Any) -> Iterator[Site]:
    broadcaster = Broadcaster("a generation")
    tools = Tools(requests=folder, **options)
    tools.watch_packages()
    gateway: Any = for_application(tools.around(app, broadcaster), "auto", "asyncio")
    gateway.start()
    try:
        with served(app, gateway=gateway, trace=tools.trace) as live:
            yield Site(live, broadcaster)
    finally:
        gateway.stop(5)


@pytest.fixture(autouse=True)
def pin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WERKZEUG_DEBUG_PIN", PIN)
    monkeypatch.setenv("FLASK_DEBUG", "1")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with developed(application(), tmp_path) as site:
        yield site


def secret_and_frame(page: str) -> tuple[str, str]:
    """The secret of the page, and the last frame, which is the view's."""
    secret = re.search(r'SECRET = "(\w+)"', page)
    assert secret is not None
    return secret[1], re.findall(r'id="frame-(\d+)"', page)[-1]


def run(site: Site, page: str, code: str, path: str = "/fails") -> str:
    secret, frame = secret_and_frame(page)
    form = {"s": secret, "frm": frame, "cmd": code}
    reply = site.post(f"{path}?__debugger__=yes", form)
    assert reply.status == 200, reply.body
    return unescape(re.sub("<[^>]+>", "", reply.body.decode()))


def test_an_exception_is_a_page_with_the_frames_of_coroutines(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    reply = site.get("/fails")
    page = unescape(reply.body.decode())
    assert reply.status == 500
    assert "<title>ZeroDivisionError: division by zero // Carboy Debugger</title>" in page
    frames = re.findall(r"<code class=function>(\w+)</code>", page)
    assert frames[-1] == "fails"
    assert "carboy/gateway" not in page  # the frames of the server
    assert "ZeroDivisionError: division by zero" in capsys.readouterr().err


def test_programs_get_the_traceback_as_text(site: Site) -> None:
    reply = site.get("/fails", Accept="application/json")
    assert reply.headers["Content-Type"].startswith("text/plain")
    assert reply.body.startswith(b"Traceback (most recent call last):")


def test_the_console_of_a_frame_runs_code_after_the_pin_and_awaits_on_the_loop(
    site: Site,
) -> None:
    page = site.get("/fails").body.decode()
    secret, frame = secret_and_frame(page)
    form = {"s": secret, "frm": frame, "cmd": "divisor"}
    assert site.post("/fails?__debugger__=yes", form).status == 401
    site.unlock()
    assert "0" in run(site, page, "divisor + 40").splitlines()[-1]
    run(site, page, "import asyncio, threading")
    run(site, page, "async def where(): return threading.current_thread().name")
    assert "'carboy-loop'" in run(site, page, "await where()")


def test_an_exception_that_is_logged_and_answered_is_shown_to_browsers(site: Site) -> None:
    assert b"LookupError: handled // Carboy Debugger" in site.get("/answers").body
    assert site.get("/answers", Accept="*/*").body == b"their own page"


def test_a_page_gets_the_script_that_reloads_it(site: Site) -> None:
    reply = site.get("/")
    assert b'<script src="/__carboy__/live.js" data-generation="a generation"' in reply.body
    assert int(reply.headers["Content-Length"]) == len(reply.body)
    assert site.get("/__carboy__/live.js").status == 200
    with site.live.client() as client:
        client.request("GET", "/__carboy__/live", {**BROWSER, "Sec-Fetch-Site": "same-origin"})
        client.until(b"event: hello\n")
        site.broadcaster.publish("page", ["api.py"])
        client.until(b"event: page\n")
        site.broadcaster.close()


def test_requests_are_listed_with_what_happened_during_them(site: Site) -> None:
    with site.live.client() as client:
        client.request("POST", "/notes", BROWSER, b"x" * 1000)
        assert json.loads(client.reply("POST").body) == {"size": 1000, "two": 2}
    site.get("/in-thread")
    assert site.get("/__carboy__/").status == 401
    site.unlock()
    site.number("/in-thread")
    site.number("/notes")
    found = {each["target"]: each for each in site.requests()}
    assert found["/notes"]["status"] == "200 OK"
    assert found["/notes"]["sql"] == 1
    details = site.details("/notes")
    assert "select 1 + 1" in details
    assert "a warning" in details
    assert "from a thread" in site.details("/in-thread")


def calls_of(site: Site, target: str) -> Any:
    """The data of the page of the calls, which is there soon after the response."""
    number = site.number(target)
    end = time.monotonic() + PATIENCE
    while (reply := site.get(f"/__carboy__/{number}/calls")).status != 200:
        assert time.monotonic() < end, reply.body
    data = re.search('type="application/json">(.*?)</script>', reply.body.decode())
    assert data is not None
    return json.loads(data[1])


def test_calls_on_the_thread_of_the_event_loop_are_recorded(site: Site) -> None:
    """Its thread has been started before the recording, with the lifespan."""
    site.get("/")
    site.unlock()
    # The last one ends the recording, which belongs to the process.
    for number, record in enumerate(("yes", "no", "yes", "no")):
        known = record == "yes"
        assert site.post("/__carboy__/calls", {"record": record}).status == 303
        target = f"/?{number}"
        assert site.get(target).status == 200
        if known:
            found = calls_of(site, target)
            titles = [step["title"] for step in found["steps"]]
            assert "Your page runs" in titles
            assert "The event loop calls the application" in titles
            assert "carboy-loop" in json.dumps(found)


def test_the_page_of_an_exception_is_kept_in_the_list(site: Site) -> None:
    site.get("/fails")
    site.unlock()
    number = site.number("/fails")
    (failed,) = site.requests()
    assert failed["error"] is True
    page = site.get(f"/__carboy__/{number}/error").body.decode()
    assert "ZeroDivisionError" in page
    assert "41" in run(site, page, "divisor + 41", f"/__carboy__/{number}/error")


def test_mounted_applications_share_the_tools(tmp_path: Path) -> None:
    """One PIN and one list are for all of them, and their pages know their prefix."""
    shop = Carboy("shop")

    @shop.get("/")
    def page() -> str:
        return PAGE

    @shop.get("/fails")
    def fails() -> float:
        divisor = 0
        return 1 / divisor

    with developed(mount(shop, {"/api": application(), "/shop": shop_of()}), tmp_path) as site:
        assert b'src="/__carboy__/live.js"' in site.get("/").body
        assert b'src="/api/__carboy__/live.js"' in site.get("/api/").body
        assert site.get("/api/__carboy__/live.js").status == 200
        pages = {path: site.get(path).body.decode() for path in ("/fails", "/api/fails")}
        assert site.get("/shop/").body == b"the other shop"
        site.unlock()
        for path, text in pages.items():
            assert "41" in run(site, text, "divisor + 41", path)
        for target in ("/", "/api/", "/api/fails", "/fails", "/shop/"):
            site.number(target)
        targets = [each["target"] for each in site.requests() if "?" not in each["target"]]
        assert sorted(targets) == ["/", "/api/", "/api/fails", "/fails", "/shop/"]
        assert "GET /api/fails" in site.details("/api/fails")


def shop_of() -> Carboy:
    app = Carboy("other")
    app.add_url_rule("/", view_func=lambda: "the other shop")
    return app


def test_without_a_root_application_the_list_is_shown_too(tmp_path: Path) -> None:
    with developed(mount(None, {"/api": application()}), tmp_path) as site:
        assert site.get("/").status == 404
        site.get("/api/in-thread")
        site.unlock()
        assert site.number("/api/in-thread")
