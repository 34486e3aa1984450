"""`carboy explain --step` as a process, and its page in Chromium."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import ready_commands
from carboy.cli import explain_step
from carboy.cli.explain_question import Question
from carboy.cli.explain_step import Sent
from carboy.dev.explain import byte_steps
from carboy.dev.explain.wire_recording import MachineCall
from chromium import chromium

APP = """
from carboy import Flask, request, send_file

app = Flask(__name__)

@app.route("/", methods=["GET", "POST"])
def index():
    return {"agent": request.headers.get("User-Agent"), "size": len(request.get_data())}

@app.get("/file")
def file():
    return send_file(__file__)

@app.get("/stream")
def stream():
    return (f"{number}\\n" for number in range(3))

@app.get("/boom")
def boom():
    return 1 / 0
"""
PLAIN = """
import threading

def hanging(environ, start_response):
    threading.Event().wait()
"""
TWO = (
    b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
)
BAD = b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\nabc"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(APP)
    (tmp_path / "plain.py").write_text(PLAIN)
    (tmp_path / "two.http").write_bytes(TWO)
    (tmp_path / "bad.http").write_bytes(BAD)
    return tmp_path


def step(folder: Path, *args: str, code: int = 0, **env: str) -> str:
    done = ready_commands.run(["explain", *args], folder, {"PATH": "/usr/bin:/bin", **env})
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return done.stdout + " ".join(done.stderr.split())


def titles(text: str) -> list[str]:
    return re.findall(r"^ *\d+/\d+ [→←] (.+)$", text, re.MULTILINE)


def test_without_a_terminal_all_steps_are_printed(folder: Path) -> None:
    text = step(folder, "shop", "GET", "/", "--step", "--terminal", "-H", "User-Agent: me")
    assert text.startswith("GET /\n")
    assert titles(text) == [
        "Request line", "Header Host", "Header Accept-Encoding", "Header Accept",
        "Header Accept-Language", "Header User-Agent",
        "End of the head", "Status line", "Header Content-Type", "Header Server", "Header Date",
        "Header Content-Length", "End of the head", "Body", "The client ends its side",
    ]  # fmt: skip
    assert "value = me" in text


@pytest.mark.parametrize("path", ["/", "/file", "/stream", "/boom", "/missing"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_the_steps_are_what_the_client_and_the_server_sent(
    folder: Path, path: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wires: list[bytes] = []
    replay = byte_steps.replay

    def listening(calls: list[MachineCall], wire: bytes, *more: object) -> byte_steps.Stepped:
        wires.append(wire)
        return replay(calls, wire, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(byte_steps, "replay", listening)
    namespace: dict[str, object] = {"__name__": "shop", "__file__": str(folder / "shop.py")}
    exec(APP.replace("\\\\n", "\\n"), namespace)
    body = b"x" * 300_000 if method == "POST" else None
    found = explain_step.record(namespace["app"], Sent(Question(method, path, {}, body)), 30)
    assert found.response == wires[0]
    assert found.response.endswith(b"\r\n\r\n") or method != "HEAD"
    assert b"".join(map(found.bytes_of, (s for s in found.steps if s.direction == "request"))) == (
        found.request
    )
    assert found.request.startswith(f"{method} {path} HTTP/1.1".encode())


def test_requests_of_a_file_are_sent_as_they_are(folder: Path) -> None:
    text = step(folder, "shop", "--step", "--terminal", "--raw", "two.http")
    assert text.startswith("two.http\n")
    assert titles(text).count("Status line") == 2
    assert "Content of a chunk" in titles(text)


def test_raw_bytes_may_come_from_a_pipe(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "carboy", "explain", "shop", "--step", "--terminal", "--raw", "-"],
        cwd=folder, input=BAD, capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(b"standard input\n")
    assert b"Refused with 400" in done.stdout


def test_half_a_body_is_refused_without_a_long_wait(folder: Path) -> None:
    (folder / "half.http").write_bytes(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab")
    text = step(folder, "shop", "--step", "--terminal", "--raw", "half.http")
    assert "Refused with 400: the connection ended in the middle of a request" in text


def test_a_malformed_request_shows_the_rule_and_the_response(folder: Path) -> None:
    text = step(folder, "shop", "--step", "--terminal", "--raw", "bad.http")
    at = titles(text).index(
        "Refused with 400: a header name is empty or has a character that names may not have"
    )
    assert titles(text)[at + 1 : at + 3] == ["Bytes that are not read", "Status line"]
    assert "split_field_line: raise _bad(" in text


def test_keys_step_in_a_terminal(folder: Path) -> None:
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "carboy", "explain", "shop", "GET", "/", "--step", "--terminal"],
        cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown = ""

    def press(key: str, wanted: str) -> None:
        nonlocal shown
        shown = ""
        end = time.monotonic() + 30
        while wanted not in shown and time.monotonic() < end:
            os.write(ours, key.encode())  # a key before the program reads keys is lost
            while select.select([ours], [], [], 0.5)[0]:
                shown += os.read(ours, 1 << 16).decode()
        assert wanted in shown

    try:
        press("", "Request line")
        press("n", "Header Host")
        press("p", "→ Request line")
        press("h", "Header Host")
        press("\r", "End of the head")
        os.write(ours, b"q")
        assert child.wait(30) == 0
    finally:
        child.kill()
        child.wait()
        os.close(ours)


def test_a_view_that_hangs_is_cut_off(folder: Path) -> None:
    text = step(folder, "plain:hanging", "GET", "/", "--step", "--terminal", "--timeout", "1")
    assert "End of the head" in titles(text)
    assert "The response was cut off after 1 s." in text


def test_the_page_is_opened_in_the_browser(folder: Path) -> None:
    browser = folder / "browser"
    browser.write_text('#!/bin/sh\necho "opened $1" > opened\n')
    browser.chmod(0o755)
    said = step(folder, "shop", "GET", "/", "--step", BROWSER=f"{browser} %s", TMPDIR=str(folder))
    (page,) = folder.glob("carboy-steps-*.html")
    assert f"Wrote {page}." in said
    assert (folder / "opened").read_text() == f"opened {page.as_uri()}\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("GET", "/", "--terminal"), "--terminal requires --step."),
        (("--raw", "bad.http"), "--raw requires --step."),
        (("--step",), "Missing argument 'METHOD'."),
        (("GET", "--step"), "Missing argument 'PATH'."),
        (("GET", "/", "--step", "--cold"), "--cold cannot be combined with --step."),
        (("GET", "/", "--step", "--terminal", "--html", "x"), "cannot be combined with --terminal"),
        (("GET", "/", "--step", "--raw", "bad.http"), "Leave them out."),
        (("--step", "--raw", "bad.http", "-d", "x"), "cannot be combined with --raw"),
        (("--step", "--raw", "missing"), "does not exist"),
        (("GET", "/", "--step", "--html", "no/x.html"), "no/x.html cannot be written: No such"),
    ],
)
def test_bad_input_is_explained(folder: Path, args: tuple[str, ...], said: str) -> None:
    assert said in step(folder, "shop", *args, code=1 if "no/x.html" in args else 2)


def shot(page: Page, name: str) -> None:
    if shots := os.environ.get("CARBOY_SHOTS"):
        page.screenshot(path=f"{shots}/{name}.png")


@pytest.mark.xdist_group("chromium")
def test_the_page_steps_plays_and_stops_at_breakpoints(folder: Path) -> None:
    step(folder, "shop", "POST", "/", "--step", "--html", "page.html", "-d", "name=<b>Milk")
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request", lambda sent: complaints.append(sent.url) if "page" not in sent.url else 0
        )
        page.goto((folder / "page.html").as_uri())
        title, chosen = page.locator("#title"), page.locator("#reading .now")
        expect(title).to_have_text("Request line")
        expect(page.locator("#parts")).to_contain_text("methodPOST")
        expect(page.locator(".step.now")).to_contain_text("POST / HTTP/1.1CR")
        expect(page.locator("#code .focus")).to_contain_text("line = buffer.line()")
        page.keyboard.press("ArrowRight")
        expect(title).to_have_text("Header Host")
        page.keyboard.press("n")
        expect(title).to_have_text("Header Accept-Encoding")
        page.keyboard.press("ArrowLeft")
        expect(title).to_have_text("Header Host")
        shot(page, "step-light")
        page.locator("#functions button", has_text="split_field_line").click()
        expect(page.locator("#code")).to_contain_text('line.partition(b":")')
        page.locator("#reading button", has_text="LENGTH").click()
        page.keyboard.press("Space")
        expect(chosen).to_have_text("LENGTH", timeout=20_000)
        expect(title).to_have_text("End of the head")
        expect(page.locator("#play")).to_contain_text("Play")
        page.keyboard.press("ArrowRight")
        expect(page.locator(".step.now")).to_contain_text("name=<b>Milk")
        page.locator("#message tr").first.click()
        expect(title).to_have_text("Request line")
        page.emulate_media(color_scheme="dark")
        page.keyboard.press("End")
        expect(title).to_have_text("The client ends its side")
        expect(chosen).to_have_text("CLOSED")
        page.keyboard.press("ArrowLeft")
        shot(page, "step-dark")
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert complaints == []
