"""`make screenshots`: the pictures of README.md, in docs/images.

A small application is written into a temporary folder, served by `carboy dev` in a terminal of
its own, and looked at with Chromium. What the terminal showed becomes a page, then a picture.
"""

from __future__ import annotations

import html
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from playwright.sync_api import Browser, Page, expect, sync_playwright

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
CARBOY = Path(sys.executable).with_name("carboy")
PORT = 8000
ADDRESS = f"http://127.0.0.1:{PORT}"
PATIENCE = 30.0
APPLICATION = """\
from carboy import Flask, request

app = Flask(__name__)
PRICES = {"apple": 30, "pear": 45}


@app.get("/")
def hello():
    return f"Hello, {request.args.get('name', 'world')}!"


@app.get("/basket")
def basket():
    items = request.args.getlist("item")
    return {"total": total(items)}


def total(items):
    return sum(PRICES[item] for item in items)
"""
COLOURS = {
    "30": "#5c6773", "31": "#ff6b68", "32": "#7fd18b", "33": "#e6c07b",
    "34": "#7aa8ff", "35": "#d18fe0", "36": "#5ccfc9", "37": "#d7dde3",
}  # fmt: skip
PAGE = """<!doctype html><meta charset="utf-8">
<style>
body {{ margin: 0; background: #10171c; }}
pre {{ margin: 0; padding: 22px 26px; color: #d7dde3; display: inline-block; min-width: 860px;
       font: 15px/1.4 "DejaVu Sans Mono", "Liberation Mono", monospace; }}
</style><pre>{text}</pre>"""


class Terminal:
    """A program in a pseudo-terminal, and everything it has written."""

    def __init__(self, command: list[str], folder: Path, size: tuple[int, int] = (24, 100)) -> None:
        self._end, other = pty.openpty()
        termios.tcsetwinsize(other, size)
        environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
        self._program = subprocess.Popen(
            command, cwd=folder, stdin=other, stdout=other, stderr=other, env=environ
        )
        os.close(other)
        self.text = ""

    def wait_for(self, pattern: str) -> None:
        """Read until `pattern` is in the text."""
        until = time.monotonic() + PATIENCE
        while not re.search(pattern, self.text, re.IGNORECASE):
            if not select.select([self._end], [], [], until - time.monotonic())[0]:
                raise TimeoutError(f"{pattern!r} did not come:\n{self.text}")
            self.text += os.read(self._end, 65536).decode()

    def close(self) -> None:
        self._program.terminate()
        self._program.wait(PATIENCE)
        os.close(self._end)


def as_html(text: str) -> str:
    """Terminal output with its colours (SGR sequences) as spans."""
    out = []
    for piece in re.split(r"(\x1b\[[\d;]*m)", text.replace("\r", "")):
        if not piece.startswith("\x1b"):
            out.append(html.escape(piece))
            continue
        out.append("</span>")
        codes = piece[2:-1].split(";")
        styles = [f"color: {COLOURS[code]}" for code in codes if code in COLOURS]
        styles += ["font-weight: bold"] * ("1" in codes) + ["opacity: .6"] * ("2" in codes)
        styles += ["text-decoration: underline"] * ("4" in codes)
        out.append(f'<span style="{"; ".join(styles)}">')
    return "<span>" + "".join(out) + "</span>"


def ask(path: str) -> None:
    try:
        urlopen(ADDRESS + path, timeout=PATIENCE).read()
    except HTTPError as error:
        error.read()


@contextmanager
def launched() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def picture(
    browser: Browser,
    name: str,
    address: str,
    prepare: Callable[..., None] | None = None,
    size: tuple[int, int] = (1200, 760),
    element: str | None = None,
) -> None:
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme="light")
    page.goto(address)
    if prepare:
        prepare(page)
    file = IMAGES / f"{name}.png"
    (page.locator(element) if element else page).screenshot(path=file)
    page.close()
    print(f"{file} ({file.stat().st_size // 1024} KiB)")


def try_console(page: Page, pin: str) -> None:
    page.keyboard.press("c")
    page.get_by_label("PIN").fill(pin)
    page.keyboard.press("Enter")
    for line in ("item", "sorted(PRICES)"):
        page.locator(".console textarea").fill(line)
        page.keyboard.press("Enter")
        expect(page.locator(".out").last).to_contain_text("'")
    page.evaluate("scrollTo(0, 0)")


def show_view(page: Page) -> None:
    page.locator("#steps button", has_text="'basket'").click()


def quickest_explanation(folder: Path) -> Path:
    """The page of the quickest of several requests: other programs disturb the first one."""
    command = [str(CARBOY), "explain", "hello:app", "GET", "/basket?item=apple&item=pear"]
    found = []
    for number in range(8):
        page = folder / f"explain-{number}.html"
        subprocess.run([*command, "--html", str(page)], cwd=folder, check=True, capture_output=True)
        time_taken = re.search(r"([\d.]+) (µs|ms) from accept", page.read_text())
        assert time_taken, page.read_text()[:2000]
        found.append((float(time_taken[1]) * (1000 if time_taken[2] == "ms" else 1), page))
    return min(found)[1]


def picture_of_course(browser: Browser, folder: Path) -> None:
    """The page of `carboy learn` after a request without a version."""
    os.environ["XDG_DATA_HOME"] = str(folder)
    terminal = Terminal([str(CARBOY), "learn", "-p", str(PORT)], folder)

    def send(page: Page) -> None:
        page.locator("#first").click()
        page.locator("#bytes").fill("GET /hello?name=Ada\nHost: localhost\n\n")
        page.locator("#new").click()
        expect(page.locator("#goals .hint")).to_be_visible()
        expect(page.locator("#received")).to_contain_text("400")

    try:
        terminal.wait_for("In the browser")
        picture(browser, "learn", ADDRESS, send, size=(1200, 960))
    finally:
        terminal.close()


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, launched() as browser:
        folder = Path(temporary) / "shop"
        folder.mkdir()
        application = folder / "hello.py"
        application.write_text(APPLICATION)
        terminal = Terminal([str(CARBOY), "dev", "hello:app", "-p", str(PORT)], folder)
        try:
            terminal.wait_for(r"ready in")
            ask("/?name=Ada")
            terminal.wait_for(r"name=Ada")
            ask("/basket?item=apple&item=plum")
            terminal.wait_for(r"item=plum")
            application.write_text(APPLICATION.replace("PRICES[item]", "PRICES.get(item, 0)"))
            terminal.wait_for(r"reloaded in")
            ask("/basket?item=apple&item=plum")
            terminal.wait_for(r"(?s)reloaded in.*item=plum.*\n")
            shown = f"$ carboy dev hello:app\n{terminal.text.rstrip()}\n"
            application.write_text(APPLICATION)
            terminal.wait_for(r"(?s)reloaded in.*reloaded in")
            pin = re.findall(r"PIN (\d{3}-\d{3}-\d{3})", terminal.text)[-1]
            picture(
                browser,
                "debugger",
                f"{ADDRESS}/basket?item=apple&item=plum",
                lambda page: try_console(page, pin),
            )
        finally:
            terminal.close()
        page = Path(temporary) / "terminal.html"
        page.write_text(PAGE.format(text=as_html(shown.replace(str(folder), "/home/ada/shop"))))
        picture(browser, "dev", page.as_uri(), element="pre")
        explained = quickest_explanation(folder)
        picture(browser, "explain", explained.as_uri(), show_view)
        picture_of_course(browser, folder)


if __name__ == "__main__":
    main()
