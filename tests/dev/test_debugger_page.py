"""The debugger's page in a browser: PIN, console, locals, completion, keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from chromium import chromium
from running import PATIENCE, Running

pytestmark = pytest.mark.xdist_group("chromium")

APP = """
import carboy

app = carboy.Flask(__name__)


def price(basket, prices):
    return sum(prices[name] for name in basket)


@app.get("/")
def index():
    basket = ["apple", "quince"]
    try:
        return str(price(basket, {"apple": 40}))
    except KeyError as error:
        raise LookupError("no price for " + error.args[0]) from error


if __name__ == "__main__":
    app.run(port=0, debug=True, use_reloader=False)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("debugged")
    (folder / "shop.py").write_text(APP)
    env = {"WERKZEUG_DEBUG_PIN": "123-456"}
    with Running(cwd=folder, command=("shop.py",), env=env) as server:
        yield server
        assert server.stop() == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, server: Running) -> Iterator[Page]:
    host, port = server.address()
    faults: list[str] = []
    with closing(browser.new_context()) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"http://{host}:{port}/")
        yield page
    assert faults == []


def typed(page: Page, line: str) -> None:
    page.locator(".console textarea").fill(line)
    page.keyboard.press("Enter")


def unlock(page: Page) -> None:
    page.get_by_label("PIN").fill("123-456")
    page.get_by_role("button", name="Unlock").click()


def test_the_exception_is_at_the_top_and_the_frames_that_raised_are_open(page: Page) -> None:
    expect(page).to_have_title("LookupError: no price for quince // Carboy Debugger")
    expect(page.get_by_role("heading", level=1)).to_have_text("no price for quince")
    expect(page.locator("details.frame[open] .function")).to_have_text(
        ["<genexpr>", "index"], use_inner_text=True
    )
    expect(page.locator("details[open] mark")).to_have_text(["prices[name]"])
    expect(page.locator(".library").first).to_be_hidden()
    page.get_by_text(re.compile(r"^\d+ library frames$")).click()
    expect(page.locator(".library").first).to_be_visible()


def test_a_console_opens_with_the_pin_and_works_in_its_frame(page: Page) -> None:
    page.keyboard.press("c")
    page.get_by_label("PIN").fill("999")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("Wrong PIN.")
    unlock(page)
    typed(page, "basket")
    expect(page.locator(".out").last).to_contain_text("['apple', 'quince']")
    typed(page, "def double(n):\n    return 2 * n")
    typed(page, "double(len(basket))")
    expect(page.locator(".out").last).to_contain_text("4")
    typed(page, "1/0")
    expect(page.locator(".out").last).to_contain_text("ZeroDivisionError")
    page.locator(".console textarea").press_sequentially("basket.cl")
    page.keyboard.press("Tab")
    expect(page.locator(".console textarea")).to_have_value("basket.clear()")
    typed(page, "prices = {'quince': 3}")
    page.locator(".console textarea").press_sequentially("print(prices[")
    page.keyboard.press("Tab")
    expect(page.locator(".console textarea")).to_have_value("print(prices['quince']")
    page.locator(".console textarea").fill("")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(page.locator(".console textarea")).to_have_value("1/0")


def test_code_that_loops_is_stopped_with_a_button_or_ctrl_c(page: Page) -> None:
    page.keyboard.press("c")
    unlock(page)
    stop = page.get_by_role("button", name="Stop")
    for press in (stop.click, lambda: page.keyboard.press("Control+c")):
        typed(page, "while True: pass")
        expect(stop).to_be_visible()
        press()
        expect(page.locator(".out").last).to_contain_text("KeyboardInterrupt")
        expect(stop).to_be_hidden()
        typed(page, "len(basket)")
        expect(page.locator(".out").last).to_contain_text("2")


def test_code_that_waits_in_c_is_named_until_it_stops(page: Page) -> None:
    page.keyboard.press("c")
    unlock(page)
    typed(page, "import time; time.sleep(2)")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".busy")).to_contain_text("(<module>, line 1 of <debugger>)")
    expect(page.locator(".busy")).to_contain_text("A function in C cannot be interrupted")
    expect(page.locator(".out").last).to_contain_text("KeyboardInterrupt")


def test_ctrl_c_leaves_incomplete_input(page: Page) -> None:
    page.keyboard.press("c")
    unlock(page)
    typed(page, "print('''begun")
    expect(page.locator(".console form span")).to_have_text("...")
    page.keyboard.press("Control+c")
    expect(page.locator(".console form span")).to_have_text(">>>")
    typed(page, "len(basket)")
    expect(page.locator(".out").last).to_contain_text("2")


def test_a_console_says_when_its_server_is_gone_or_has_been_started_again(page: Page) -> None:
    page.keyboard.press("c")
    unlock(page)
    page.route("**/*__debugger__=yes", lambda route: route.abort())
    typed(page, "len(basket)")
    expect(page.locator(".out").last).to_contain_text("The server does not answer.")
    page.keyboard.press("Tab")
    page.unroute("**/*__debugger__=yes")
    page.route("**/*__debugger__=yes", lambda route: route.fulfill(body="<b>other program</b>"))
    typed(page, "len(basket)")
    expect(page.locator(".out").last).to_contain_text("Reload the page.")
    page.unroute("**/*__debugger__=yes")
    typed(page, "len(basket)")
    expect(page.locator(".out").last).to_contain_text("2")
    page.context.clear_cookies()
    typed(page, "len(basket) + 1")
    unlock(page)
    expect(page.locator(".out").last).to_contain_text("3")
    page.evaluate("SECRET = 'that of another start'")
    typed(page, "len(basket)")
    expect(page.locator(".out").last).to_contain_text("Reload the page.")


def test_the_access_log_shows_neither_pin_nor_secret(page: Page, server: Running) -> None:
    page.keyboard.press("c")
    unlock(page)
    typed(page, "basket")
    expect(page.locator(".out").last).to_contain_text("quince")
    secret = str(page.evaluate("SECRET"))
    assert "POST /?__debugger__=yes" in server.text()
    requests = [line for line in server.err + server.out if '"POST' in line or '"GET' in line]
    assert requests
    for line in requests:
        assert secret not in line
        assert "123-456" not in line


def test_local_variables_are_shown_in_their_frame(page: Page) -> None:
    page.keyboard.press("l")
    unlock(page)
    expect(page.locator(".box th")).to_have_text(["basket"])


def test_keys_move_through_the_frames(page: Page) -> None:
    page.keyboard.press("j")
    expect(page.locator("summary").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("details").first).to_have_attribute("open", "")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator("summary").first).to_be_focused()


def test_a_locked_console_stays_locked_when_left(page: Page) -> None:
    page.keyboard.press("c")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()
    expect(page.locator(".console")).to_have_count(0)
