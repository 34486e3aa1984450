"""The chat of `examples` on two workers, in two windows of Chromium, with a reload."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from chromium import chromium
from running import PATIENCE, Running

pytestmark = pytest.mark.xdist_group("chromium")

MESSAGES = 8  # of each visitor, around a reload
CHAT = Path(__file__).parents[2] / "examples" / "chat"


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    env = {"PYTHONDONTWRITEBYTECODE": "1"}
    with Running("run", "chat", "--port", "0", "--workers", "2", cwd=CHAT, env=env) as server:
        server.address()
        yield server
        assert server.stop() == 0
        assert "Traceback" not in server.text()


@pytest.fixture(scope="module")
def address(server: Running) -> str:
    host, port = server.address()
    return f"http://{host}:{port}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def windows(browser: Browser, address: str) -> Iterator[tuple[Page, Page]]:
    """The windows of Ada and Ben, who have entered the kitchen."""
    complaints: list[str] = []
    with ExitStack() as stack:
        pages = []
        for name in ("Ada", "Ben"):
            context = browser.new_context(reduced_motion="reduce")  # animations take much time
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(PATIENCE * 1000)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(address)
            page.get_by_label("Name").fill(name)
            page.get_by_role("button", name="Enter").click()
            is_connected(page)
            pages.append(page)
        yield pages[0], pages[1]
    assert complaints == []


def is_connected(page: Page) -> None:
    expect(page.locator("#state")).to_have_text("connected")


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send").click()


def test_two_visitors_talk(windows: tuple[Page, Page]) -> None:
    ada, ben = windows
    for page in windows:
        expect(page.locator("#people .face")).to_have_count(2)
    ben.get_by_label("Message", exact=True).press_sequentially("Tea")
    expect(ada.locator("#typing")).to_have_text("Ben is typing")
    ben.keyboard.press("Enter")
    expect(ada.locator("#messages .text").last).to_have_text("Tea")
    expect(ada.locator("#messages .who b").last).to_have_text("Ben")
    expect(ada.locator("#typing")).to_be_empty()
    say(ada, "<b>Coffee</b>")
    expect(ben.locator("#messages .text").last).to_have_text("<b>Coffee</b>")
    for page in windows:
        expect(page.locator("#messages .waits")).to_have_count(0)
        expect(page.locator("#total")).not_to_have_text("0")


def test_rooms_are_separate_and_a_visitor_who_leaves_is_gone(windows: tuple[Page, Page]) -> None:
    ada, ben = windows
    ada.get_by_role("link", name="garden").click()
    is_connected(ada)
    expect(ben.locator("#people .face")).to_have_count(1)
    say(ada, "Tomatoes are ripe")
    expect(ada.locator("#messages .text")).to_have_text(["Tomatoes are ripe"])
    expect(ben.get_by_text("Tomatoes are ripe")).to_have_count(0)
    ben.get_by_role("link", name="garden").click()  # the history shows what was said before
    expect(ben.locator("#messages .text")).to_have_text(["Tomatoes are ripe"])


def test_a_reload_in_the_middle_loses_no_message(
    windows: tuple[Page, Page], server: Running
) -> None:
    ada, ben = windows
    for page in windows:
        page.get_by_role("link", name="workshop").click()
        is_connected(page)
    old = ended(server)
    ada_says = [f"Ada's message {number}." for number in range(MESSAGES)]
    ben_says = [f"Ben's message {number}." for number in range(MESSAGES)]
    for number in range(MESSAGES):
        if number == MESSAGES // 4:
            server.send(signal.SIGHUP)
        say(ada, ada_says[number])
        say(ben, ben_says[number])
    for page in windows:
        expect(page.locator("#messages .text")).to_have_count(2 * MESSAGES)
        expect(page.locator("#messages .waits")).to_have_count(0)
        texts = page.locator("#messages .text").all_inner_texts()
        assert [text for text in texts if text.startswith("Ada")] == ada_says
        assert [text for text in texts if text.startswith("Ben")] == ben_says
    server.until(lambda: ended(server) >= old + 4, "end of the connections of the old workers")
    for page in windows:
        is_connected(page)
        page.reload()  # the new workers have the history
        expect(page.locator("#messages .text")).to_have_count(2 * MESSAGES)
        expect(page.locator("#people .face")).to_have_count(2)


def ended(server: Running) -> int:
    """The number of streams that have ended, by the access log."""
    return sum("/live" in line or "/pulse" in line for line in server.out)


def test_requests_that_cannot_be_are_refused(address: str) -> None:
    with httpx.Client(base_url=address, timeout=PATIENCE) as client:
        assert client.get("/rooms/kitchen/history").status_code == 401
        assert client.get("/rooms/kitchen/live").status_code == 401
        assert client.post("/", data={"name": " "}).status_code == 400
        assert client.post("/", data={"name": "x" * 25}).status_code == 400
        assert client.post("/", data={"name": "Eve"}).headers["Location"] == "/rooms/kitchen"
        assert client.get("/rooms/cellar").status_code == 404
        say = "/rooms/kitchen/messages"
        assert client.post(say, json={"text": "", "key": "1"}).status_code == 400
        assert client.post(say, json={"text": "x" * 2001, "key": "1"}).status_code == 400
        assert client.post(say, json={"text": "x"}).status_code == 400
        assert client.post(say, json=["x"]).status_code == 400
        assert client.post(say, content=b"{").status_code == 415
