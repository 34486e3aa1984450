"""The page of `carboy learn` in Chromium, beside its terminal, and what it does not accept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from carboy.cli.learn import page_application
from carboy.testing import Client
from chromium import chromium
from learning import Course, Terminal, course


def shot(page: Page, name: str) -> None:
    if shots := os.environ.get("CARBOY_SHOTS"):
        page.screenshot(path=f"{shots}/{name}.png", full_page=True)


@pytest.mark.xdist_group("chromium")
def test_an_exercise_is_done_on_the_page(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    try:
        address = terminal.course()
        with chromium() as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            complaints: list[str] = []
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda line: complaints.append(line.text))
            page.goto(address)
            page.click("#first")
            expect(page.locator("#title")).to_have_text("1. What is in a request line")
            terminal.wait("1. What is in a request line")
            page.fill("#bytes", "GET /hello?name=Ada\nHost: <b>x</b>\n\n")
            page.click("#new")
            expect(page.locator("#goals .hint")).to_contain_text("has no version")
            expect(page.locator("#received")).to_contain_text("HTTP/1.1 400 Bad Request")
            expect(page.locator(".finding pre")).to_contain_text("Host: <b>x</b>\\r\\n")
            terminal.wait("Your request line has no version.")
            shot(page, "learn-light")
            page.click("#example")
            page.press("#bytes", "Control+Enter")
            answer = page.get_by_label("Answer")
            answer.fill("3")
            answer.press("Enter")
            expect(page.locator("#questions .hint")).to_contain_text("not what was recorded")
            answer.fill("4")
            answer.press("Enter")
            expect(page.locator("#questions .right").first).to_contain_text("At which byte")
            answer.fill("/hello")
            answer.press("Enter")
            expect(page.locator(".learned")).to_contain_text("METHOD, target and version")
            expect(page.locator("#progress")).to_contain_text("1 of 10")
            page.locator(".finding button").first.click()
            steps = page.frame_locator("#frame")
            expect(steps.locator("#title")).to_have_text("Request line")
            expect(steps.locator(".step.now")).to_contain_text("GET /hello?name")
            page.emulate_media(color_scheme="dark")
            shot(page, "learn-dark")
            page.click(".learned button")
            expect(page.locator("#title")).to_contain_text("2. What a header line is")
            expect(page.locator("#received")).to_have_text("")
            page.set_viewport_size({"width": 390, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            assert complaints == []
            terminal.type("q\n")
            assert terminal.ends()[0] == 0
            expect(page.locator("#gone")).to_be_visible()
    finally:
        terminal.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    with course(tmp_path_factory.mktemp("data")) as found:
        yield found


@pytest.fixture
def client(running: Course) -> Client:
    running.lessons.begin(4)
    return page_application.make(running.lessons, running.recorder).test_client()


def state(client: Client) -> Any:
    return client.get("/state").json


def test_requests_go_on_the_open_connection_or_on_a_new_one(
    client: Client, running: Course
) -> None:
    request = "GET /hello HTTP/1.1\nHost: x\n\n"
    for where, connections in (("new", 1), ("same", 1), ("new", 2), ("twice", 4)):
        assert client.post("/send", json={"text": request, "where": where}).status_code == 200
        running.wait(lambda: not state(client)["client"]["waits"].startswith("The server waits"))
        running.wait(lambda count=connections: len(running.lessons.seen()) == count)
    assert state(client)["client"]["waits"] == "The connection is open for another request."
    client.post("/hang-up", json={})
    assert state(client)["client"]["open"] == 0


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("/send", {"text": "GET \\q"}, "is not an escape"),
        ("/send", {"text": "\ud800"}, "half a character"),
        ("/send", {"text": ""}, "There is nothing to send."),
        ("/send", {"text": "x" * 1_100_000}, "may have 1,048,576 bytes"),
        ("/send", [], "There is nothing to send."),
        ("/begin", {"number": 0}, "There is no exercise 0."),
        ("/begin", {"number": "x"}, "There is no exercise 'x'."),
        ("/begin", {"number": True}, "There is no exercise True."),
        ("/answer", {}, "The answer names no question."),
    ],
)
def test_bad_input_is_explained(client: Client, path: str, value: Any, said: str) -> None:
    response = client.post(path, json=value)
    assert response.status_code == 400
    assert said in response.json["problem"]


def test_an_answer_to_a_question_that_does_not_exist_is_not_right(client: Client) -> None:
    for number in (-1, 7):
        answer = client.post("/answer", json={"number": number, "text": "0"}).json
        assert answer == {"right": False, "text": "The exercise has no such question."}


@pytest.mark.parametrize(
    ("headers", "as_json"),
    [
        ({"Host": "evil.example:8000"}, True),
        ({"Origin": "http://evil.example"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({}, False),
    ],
)
def test_other_sites_cannot_send(client: Client, headers: dict[str, str], as_json: bool) -> None:
    kind = {"Content-Type": "application/json" if as_json else "text/plain"}
    response = client.post("/send", data='{"text": "GET / HTTP/1.1"}', headers=headers | kind)
    assert response.status_code == 403


def test_other_paths_name_both_addresses(client: Client, running: Course) -> None:
    response = client.get("/hello")
    assert response.status_code == 404
    assert f"127.0.0.1:{running.port}" in response.text
    assert client.get("/steps/99").status_code == 404
