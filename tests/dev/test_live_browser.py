"""The live page in a browser: a new generation, style sheets, failures, policies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from carboy import Flask, request
from carboy.dev.live import Broadcaster, Failure, LivePage
from chromium import chromium
from live_engine import served
from running import PATIENCE

pytestmark = pytest.mark.xdist_group("chromium")

HTML = """\
<!doctype html>
<title>Shop</title>
<link rel=stylesheet href=/static/css/site.css>
<link rel=stylesheet href=/static/css/print.css media=print>
<h1>{{ version }}</h1>
<form method=post action=/sent><button>Send</button></form>
<p style="height: 3000px">
"""
FAILURE = Failure(
    "SyntaxError: '(' was never closed (shop.py, line 3)",
    'Traceback (most recent call last):\n  File "/srv/shop.py", line 3\n    total = sum(prices\n'
    "               ^\nSyntaxError: '(' was never closed\n",
)
TRACE = "carboy-live .trace"


class LiveApp:
    """An application whose process can be replaced: a new broadcaster simulates a new process."""

    def __init__(self, folder: Path) -> None:
        self.css = folder / "static" / "css"
        self.css.mkdir(parents=True)
        (self.css / "site.css").write_text("h1 { color: rgb(1, 1, 1) }")
        (self.css / "print.css").write_text("")
        self.version = "one"
        self.policy = ""
        self.form = ""
        self.made = 1
        self.broadcaster = Broadcaster("g1")
        self.app = Flask("shop", root_path=str(folder))
        self.app.add_url_rule("/", view_func=self.index)
        self.app.add_url_rule("/sent", view_func=self.sent, methods=["GET", "POST"])
        self.app.jinja_env.globals["version"] = ""
        self.url = ""

    def index(self) -> Any:
        from carboy import make_response, render_template_string

        response = make_response(render_template_string(HTML + self.form, version=self.version))
        if self.policy:
            response.headers["Content-Security-Policy"] = self.policy
        return response

    def sent(self) -> str:
        return f"<p>{request.method} {self.version}</p>"

    def failing(self, environ: Any, start_response: Any) -> list[bytes]:
        start_response("500 INTERNAL SERVER ERROR", [("Content-Type", "text/html")])
        return [b"<!doctype html><h1>broken</h1>"]

    def __call__(self, environ: Any, start_response: Any) -> Any:
        app = self.failing if self.broadcaster.failure else self.app
        return LivePage(app, self.broadcaster)(environ, start_response)

    def replace(self, failure: Failure | None = None) -> None:
        """Simulate a new process."""
        old = self.broadcaster
        self.made += 1
        self.broadcaster = Broadcaster(f"g{self.made}", failure)
        old.close()


@pytest.fixture
def live_app(tmp_path: Path) -> Iterator[LiveApp]:
    live_app = LiveApp(tmp_path)
    with served(live_app, threads=16) as live:
        live_app.url = f"http://127.0.0.1:{live.port}"
        yield live_app
        live_app.broadcaster.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, live_app: LiveApp) -> Iterator[Page]:
    faults: list[str] = []
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    context.close()
    assert faults == []


def loaded(page: Page, url: str) -> None:
    """Load a page and wait until it has a stream."""
    with page.expect_response("**/__carboy__/live"):
        page.goto(url)


def colour(page: Page, expected: str) -> None:
    expect(page.locator("body h1")).to_have_css("color", expected)


def test_a_new_generation_reloads_the_page_at_the_same_place(page: Page, live_app: LiveApp) -> None:
    loaded(page, live_app.url)
    page.evaluate("scrollTo(0, 700)")
    live_app.version = "two"
    live_app.replace()
    expect(page.locator("body h1")).to_have_text("two")
    page.wait_for_function("scrollY === 700")


def test_a_changed_page_is_reloaded(page: Page, live_app: LiveApp) -> None:
    loaded(page, live_app.url)
    live_app.version = "two"
    live_app.broadcaster.publish("page", ["templates/index.html"])
    expect(page.locator("body h1")).to_have_text("two")


FORM = """\
<form action=/search><input name=q value=start><input name=q><input type=password name=secret>
<textarea name=text></textarea><input type=checkbox name=yes><input type=hidden name=token value=t>
<select name=one><option>a<option>b</select><select name=many multiple><option>c<option>d</select>
<input type=radio name=way value=1 checked><input type=radio name=way value=2>
<input name=number autocomplete=cc-number></form>
"""
CONTENT = """
() => [...new FormData(document.forms[1])].map(([name, value]) => `${name}=${value}`).join(" ")
"""


def test_what_was_typed_into_a_form_stays(page: Page, live_app: LiveApp) -> None:
    live_app.form = FORM
    loaded(page, live_app.url)
    page.locator("[name=q]").nth(1).fill("quince")
    page.locator("[name=secret]").fill("hunter2")
    page.locator("[name=number]").fill("4111")
    page.locator("[name=yes]").check()
    page.locator("[name=one]").select_option("b")
    page.locator("[name=many]").select_option(["c", "d"])
    page.locator("[name=way]").nth(1).check()
    page.locator("[name=text]").fill("two\nlines")
    page.evaluate("document.querySelector('[name=text]').setSelectionRange(1, 3)")
    stored = []
    for version in ("two", "three"):
        live_app.version = version
        live_app.replace()
        expect(page.locator("body h1")).to_have_text(version)
        page.wait_for_function("document.activeElement.name === 'text'")
        content = page.evaluate(CONTENT)
        assert content.replace("\r", "") == (
            "q=start q=quince secret= text=two\nlines yes=on token=t one=b many=c many=d way=2"
            " number="
        )
        stored += page.evaluate("Object.values(sessionStorage)")
    assert page.evaluate("document.activeElement.selectionEnd") == 3
    assert "hunter2" not in "".join(stored)
    page.reload()
    assert "quince" not in page.evaluate(CONTENT)


MORE = """\
<style>#list { height: 50px; overflow: auto } #list p { height: 900px }</style>
<div id=note contenteditable>first <b>bold</b> text</div>
<details><summary>more</summary>hidden</details>
<dialog><form method=dialog><input name=inside></form></dialog>
<div id=list><p>long</p></div>
<div id=fragment></div>
<iframe src="/framed"></iframe>
<script>
setTimeout(() => { fragment.innerHTML = "<input name=late>"; }, 300);
</script>
"""


def test_what_was_edited_opened_and_scrolled_stays(page: Page, live_app: LiveApp) -> None:
    live_app.form = MORE
    framed = "<!doctype html><form><textarea name=framed></textarea></form>"
    live_app.app.add_url_rule("/framed", view_func=lambda: framed)
    loaded(page, live_app.url)
    frame = page.frame_locator("iframe")
    page.wait_for_function("frames[0][Symbol.for('carboy.live')]")  # its script has run
    frame.locator("[name=framed]").fill("in a frame")
    page.locator("[name=late]").fill("in a fragment")
    page.locator("summary").click()
    page.evaluate("document.querySelector('dialog').show()")
    page.locator("[name=inside]").fill("in a dialog")
    page.evaluate("list.scrollTo(0, 200)")
    page.locator("#note").focus()
    page.keyboard.press("Control+End")
    page.keyboard.type("!!")
    page.keyboard.press("ArrowLeft")
    for version in ("two", "three"):
        live_app.version = version
        live_app.replace()
        expect(page.locator("body h1")).to_have_text(version)
        expect(page.locator("#note")).to_have_text("first bold text!!")
        expect(page.locator("[name=late]")).to_have_value("in a fragment")
        expect(frame.locator("[name=framed]")).to_have_value("in a frame")
        expect(page.locator("[name=inside]")).to_have_value("in a dialog")
        expect(page.locator("dialog")).to_be_visible()
        expect(page.locator("details")).to_have_attribute("open", "")
        page.wait_for_function("list.scrollTop === 200")
    page.wait_for_function("document.activeElement === note")
    page.keyboard.type("?")
    expect(page.locator("#note")).to_have_text("first bold text!?!")


def test_a_changed_style_sheet_is_replaced_without_a_reload(page: Page, live_app: LiveApp) -> None:
    loaded(page, live_app.url)
    page.evaluate("window.kept = true")
    sheet = live_app.css / "site.css"
    for shade in (2, 3):
        sheet.write_text(f"h1 {{ color: rgb({shade}, {shade}, {shade}) }}")
        live_app.broadcaster.publish("style", [str(sheet)])
        colour(page, f"rgb({shade}, {shade}, {shade})")
    expect(page.locator("link")).to_have_count(2)
    assert page.locator("link").nth(1).get_attribute("href") == "/static/css/print.css"
    assert page.evaluate("window.kept")


def test_an_imported_style_sheet_is_replaced_with_its_parent(page: Page, live_app: LiveApp) -> None:
    part = live_app.css / "_part.css"
    part.write_text("h1 { color: rgb(4, 4, 4) }")
    (live_app.css / "site.css").write_text('@import "_part.css";')
    loaded(page, live_app.url)
    colour(page, "rgb(4, 4, 4)")
    page.evaluate("window.kept = true")
    part.write_text("h1 { color: rgb(50, 5, 5) }")
    live_app.broadcaster.publish("style", [str(part)])
    colour(page, "rgb(50, 5, 5)")
    assert page.evaluate("window.kept")


def test_a_failure_is_shown_over_the_page_until_it_is_fixed(page: Page, live_app: LiveApp) -> None:
    loaded(page, live_app.url)
    live_app.replace(FAILURE)
    expect(page.get_by_role("heading", name="was never closed")).to_be_visible()
    expect(page.locator(TRACE)).to_have_text(FAILURE.text)
    live_app.version = "fixed"
    live_app.replace()
    expect(page.locator("body h1")).to_have_text("fixed")
    expect(page.locator("carboy-live")).to_have_count(0)


def test_a_failure_can_be_hidden_and_shown_again(page: Page, live_app: LiveApp) -> None:
    loaded(page, live_app.url)
    live_app.replace(FAILURE)
    expect(page.locator(TRACE)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(TRACE)).to_have_count(0)
    page.get_by_role("button", name="Show").click()
    expect(page.locator(TRACE)).to_be_visible()


def test_a_second_failure_replaces_the_first(page: Page, live_app: LiveApp) -> None:
    loaded(page, live_app.url)
    live_app.replace(FAILURE)
    expect(page.locator(TRACE)).to_be_visible()
    live_app.replace(Failure("NameError: shelf", "Traceback\nNameError: shelf"))
    expect(page.locator(TRACE)).to_have_text("Traceback\nNameError: shelf")


def test_a_page_that_shows_the_failure_is_reloaded_once_it_is_fixed(
    page: Page, live_app: LiveApp
) -> None:
    live_app.replace(FAILURE)
    loaded(page, live_app.url)
    expect(page.locator("body h1")).to_have_text("broken")
    expect(page.locator("carboy-live")).to_have_count(0)
    live_app.replace()
    expect(page.locator("body h1")).to_have_text("one")


def test_a_failure_of_a_request_is_shown_over_the_page(page: Page, live_app: LiveApp) -> None:
    loaded(page, live_app.url)
    live_app.broadcaster.publish("error", failure=Failure("KeyError: 'a'", "Traceback"))
    expect(page.locator(TRACE)).to_have_text("Traceback")
    page.get_by_role("button", name="Hide").click()
    expect(page.locator("carboy-live")).to_have_count(0)


def test_a_page_in_a_frame_is_reloaded_with_its_outer_page(page: Page, live_app: LiveApp) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    live_app.app.add_url_rule("/frames", view_func=lambda: "<p>Around</p><iframe src=/></iframe>")
    loaded(page, f"{live_app.url}/frames")
    inner = page.frame_locator("iframe").locator("h1")
    sheet = live_app.css / "site.css"
    sheet.write_text("h1 { color: rgb(6, 6, 6) }")
    live_app.broadcaster.publish("style", [str(sheet)])
    expect(inner).to_have_css("color", "rgb(6, 6, 6)")
    live_app.version = "two"
    live_app.replace()
    expect(inner).to_have_text("two")
    before = asked[: asked.index(f"{live_app.url}/frames", 1)]  # until the reload
    assert len([url for url in before if url.endswith("/__carboy__/live.js")]) == 2
    assert len([url for url in before if url.endswith("/__carboy__/live")]) == 2  # g1, g2


def test_only_the_user_can_send_a_form_again(page: Page, live_app: LiveApp) -> None:
    loaded(page, live_app.url)
    with page.expect_response("**/__carboy__/live"):
        page.get_by_role("button", name="Send").click()
    expect(page.locator("p")).to_have_text("POST one")
    live_app.version = "two"
    live_app.replace()
    again = page.get_by_role("button", name="Send the form again")
    expect(again).to_be_visible()
    expect(page.locator("p")).to_have_text("POST one")


def test_the_script_works_under_a_strict_policy_with_a_nonce(page: Page, live_app: LiveApp) -> None:
    live_app.policy = (
        "default-src 'none'; script-src 'nonce-abc' 'strict-dynamic'; connect-src 'self';"
        " style-src 'self'; require-trusted-types-for 'script'"
    )
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    loaded(page, live_app.url)
    refused.clear()  # the style attribute of the page itself
    live_app.replace(FAILURE)
    expect(page.locator(TRACE)).to_be_visible()
    assert page.locator("carboy-live dialog").evaluate("it => getComputedStyle(it).display") == (
        "flex"
    )
    assert [text for text in refused if "Policy" in text] == []
    live_app.version = "two"
    live_app.replace()
    expect(page.locator("body h1")).to_have_text("two")


def test_a_hidden_page_holds_no_stream(page: Page, live_app: LiveApp) -> None:
    loaded(page, live_app.url)
    page.evaluate(
        """() => {
            window.seen = "hidden";
            Object.defineProperty(document, "visibilityState", {get: () => window.seen});
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    live_app.version = "two"
    live_app.replace()
    with page.expect_response("**/__carboy__/live"):
        page.evaluate(
            '() => { window.seen = "visible";'
            ' document.dispatchEvent(new Event("visibilitychange")); }'
        )
    expect(page.locator("body h1")).to_have_text("two")


def test_more_windows_than_connections_all_follow_changes(page: Page, live_app: LiveApp) -> None:
    """A browser opens six HTTP/1.1 connections to a host. Each visible window would hold one."""
    pages = [page, *(page.context.new_page() for _ in range(7))]
    for each in pages:
        each.set_default_timeout(PATIENCE * 1000)
        each.goto(live_app.url)
    live_app.version = "two"
    live_app.replace()
    for each in pages:
        expect(each.locator("body h1")).to_have_text("two")
