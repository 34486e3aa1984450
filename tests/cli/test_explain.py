"""`carboy explain` as a process, for a Carboy and for a real Flask application."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

import ready_commands
from chromium import chromium

APP = """
import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from {package} import (
    Flask, Response, abort, render_template_string, request, request_started, session,
)

app = Flask(__name__)
app.secret_key = "key"

@request_started.connect_via(app)
def heard(sender, **more):
    pass

@app.before_request
def remember():
    pass

@app.route("/hello/<name>")
def hello(name):
    return render_template_string("{{{{ name }}}}", name=request.headers["X-Name"])

@app.post("/echo")
def echo():
    return request.get_json()

@app.get("/boom")
def boom():
    return 1 / 0

@app.post("/login")
def login():
    session["password"] = "made-here"
    return compare(request.form["password"])

def compare(data):
    return "no"

@app.get("/stream")
def stream():
    return Response((f"{{n}}" for n in range(40)), mimetype="text/plain")

@app.get("/async")
async def later():
    await asyncio.sleep(0)
    return "later"

@app.get("/mapped")
def mapped():
    list(map(work, range(20)))
    return "mapped"

def work(number):
    return number

@app.get("/busy")
def busy():
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(nap, range(6)))
    nap(6)
    return "busy"

def nap(number):
    time.sleep(0.01)
    return work(number)

@app.get("/missing")
def missing():
    abort(404)

@app.get("/deep")
def deep():
    def down(n):
        return n and down(n - 1)
    return str(down(800))

@app.get("/<path:rest>")
def rest(rest):
    return rest
"""
PLAIN = """
import os
import socket
import threading

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

def hanging(environ, start_response):
    print("hanging", file=environ["wsgi.errors"], flush=True)
    threading.Event().wait()

def fails_midway(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"some"
    yield b"more"
    raise LookupError("midway")

def too_short(environ, start_response):
    start_response("200 OK", [("Content-Length", "10")])
    return [b"some"]

def hangs_up(environ, start_response):
    with socket.socket(fileno=os.dup(environ["werkzeug.socket"].fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)
    return app(environ, start_response)

def ends(environ, start_response):
    os._exit(3)

def endless(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return iter(lambda: threading.Event().wait(0.1) or b"again", b"")
"""
TO_HELLO = ("GET", "/hello/bob", "-H", "X-Name: Bob")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ours.py").write_text(APP.format(package="carboy"))
    (tmp_path / "theirs.py").write_text(APP.format(package="flask"))
    (tmp_path / "plain.py").write_text(PLAIN)
    return tmp_path


def explain(folder: Path, *args: str, code: int = 0, **env: str) -> str:
    done = ready_commands.run(["explain", *args], folder, {"PATH": "", **env})
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout + done.stderr


def steps_of(text: str) -> list[str]:
    return re.findall(r"^ +\d+\. (.+?)  \(", text, re.MULTILINE)


@pytest.mark.parametrize("app", ["ours", "theirs"])
def test_the_steps_go_from_accept_to_the_last_send(folder: Path, app: str) -> None:
    text = explain(folder, app, *TO_HELLO)
    steps = [step.partition(" ×")[0] for step in steps_of(text)]
    wanted = [
        "The connection is accepted",
        "Bytes are read from the socket",
        "The bytes are parsed as a request head",
        "The before_request hook 'remember' runs",
        "The view 'hello' runs",
        "The template is rendered",
        "The bytes are sent",
    ]
    # A streamed response is sent in pieces, and each of them is a step.
    assert list(dict.fromkeys(step for step in steps if step in wanted)) == wanted
    assert steps[0] == wanted[0] and steps[-1] == wanted[-1]
    assert any("rule" in step for step in steps)
    assert any("request.headers" in step for step in steps)


@pytest.mark.parametrize("app", ["ours", "theirs"])
def test_signals_and_the_matching_rule_are_shown(folder: Path, app: str) -> None:
    text = explain(folder, app, *TO_HELLO)
    assert "Signal request-started is sent" in text
    assert "The receiver 'heard' of signal request-started runs" in text
    rules = text.partition("How the rule was found")[2].partition("\n\n")[0]
    assert "✓ /hello/<name> → hello  (name='bob')" in rules
    assert "· /<path:rest> → rest  (rest='hello/bob')\n      has a variable where" in rules


def test_a_real_flask_application_shows_calls_of_flask_and_werkzeug(folder: Path) -> None:
    text = explain(folder, "theirs", *TO_HELLO)
    assert re.search(r"flask Flask\.wsgi_app .*flask/app\.py:\d+-\d+", text)
    assert re.search(r"werkzeug MapAdapter\.match .*werkzeug/routing/map\.py:\d+-\d+", text)


def test_any_wsgi_callable_is_explained(folder: Path) -> None:
    assert re.search(r"your application app plain\.py:6-8", explain(folder, "plain", "GET", "/"))


def test_only_shows_one_room_and_depth_cuts_the_tree(folder: Path) -> None:
    calls = explain(folder, "ours", *TO_HELLO, "--only", "protocol", "--depth", "1")
    lines = calls.partition("\nCalls\n")[2].splitlines()
    assert lines
    assert [line for line in lines if not re.match(r" *[\d.,]+ [µm]s protocol ", line)] == []


def test_a_header_given_twice_is_sent_as_two_lines(folder: Path) -> None:
    text = explain(
        folder, "ours", "GET", "/hello/bob", "-H", "X-Name: Bob", "-H", "x-name: Eve",
        "--from-start",
    )  # fmt: skip
    assert re.search(r"X-Name: Bob\\r\\n\n +\d+  x-name: Eve\\r\\n\n", text)


def test_json_is_sent_with_its_content_type(folder: Path) -> None:
    text = explain(folder, "ours", "POST", "/echo", "--json", '{"a": 1}')
    assert text.startswith("POST /echo → 200 OK")
    assert "The request body is complete" in text


@pytest.mark.parametrize("app", ["ours", "theirs"])
def test_the_line_that_raised_is_shown_beside_the_500(folder: Path, app: str) -> None:
    text = explain(folder, app, "GET", "/boom")
    assert "GET /boom → 500 INTERNAL SERVER ERROR" in text
    assert "The application raised ZeroDivisionError: division by zero" in text
    assert f"{app}.py:28" in text


def test_an_exception_from_a_library_shows_the_line_of_the_application(folder: Path) -> None:
    text = explain(folder, "ours", "GET", "/missing")
    assert "NotFound" in text
    assert re.search(r"^  at .*/ours\.py:\d+$", text, re.MULTILINE)


@pytest.mark.parametrize("app", ["ours", "theirs"])
def test_a_coroutine_is_one_step_at_the_place_where_it_started(folder: Path, app: str) -> None:
    text = explain(folder, app, "GET", "/async")
    steps = [step.partition(" ×")[0] for step in steps_of(text)]
    assert steps.count("The view 'later' runs") == 1
    assert steps.index("The view 'later' runs") < steps.index("The bytes are sent")
    assert steps.count("The bytes are sent") == 1  # not the bytes that wake up a loop


def test_many_sends_are_one_step(folder: Path) -> None:
    steps = steps_of(explain(folder, "ours", "GET", "/stream"))
    assert [step for step in steps if "sent ×" in step]
    assert sum("bytes are sent" in step for step in steps) < 4


@pytest.mark.parametrize("app", ["ours", "theirs"])
def test_calls_through_c_are_in_every_view(folder: Path, app: str) -> None:
    text = explain(folder, app, "GET", "/mapped")
    assert re.search(r"your application work ×20 ", text)
    explain(folder, app, "GET", "/mapped", "--full", "--html", "page.html")
    assert (folder / "page.html").read_text().count('"name": "work"') == 20


@pytest.mark.parametrize("app", ["ours", "theirs"])
def test_times_add_up_with_several_threads(folder: Path, app: str) -> None:
    explain(folder, app, "GET", "/busy", "--html", "page.html")
    html = (folder / "page.html").read_text()
    found = re.search(r'<script id="data" type="application/json">(.*)</script>', html)
    assert found is not None
    data = json.loads(found[1])
    assert sum(time for _, time in data["shares"]) == data["time"]
    for track in data["tracks"]:
        calls = track["calls"]
        inside = [0] * len(calls)
        whole = 0
        for each in calls:
            assert each["time"] >= 0
            if each["above"] < 0:
                whole += each["time"]
            else:
                inside[each["above"]] += each["time"]
        assert all(sum_of <= each["time"] for sum_of, each in zip(inside, calls, strict=True))
        assert whole <= data["time"]
    names = [(each["name"], each["room"]) for track in data["tracks"] for each in track["calls"]]
    assert names.count(("work", "your application")) == 7
    assert names.count(("sleep", "waiting")) == 7
    assert names.count(("sleep", "waiting")) > sum(
        each["name"] == "sleep" for each in data["tracks"][0]["calls"]
    )


def test_deep_recursion_is_shown_in_every_format(folder: Path) -> None:
    assert "The view 'deep' runs" in explain(folder, "ours", "GET", "/deep", "--full")
    explain(folder, "ours", "GET", "/deep", "--html", "page.html")
    assert "deep.<locals>.down" in (folder / "page.html").read_text().replace("\\u003c", "<")


def test_an_application_that_does_not_respond_is_an_error(folder: Path) -> None:
    said = explain(folder, "plain:hanging", "GET", "/", "--timeout", "5", "--cold", code=1)
    assert "There was no response within 5 s. The application runs hanging, " in said
    assert "plain.py:12." in said


@pytest.mark.parametrize(
    ("view", "said"),
    [
        ("fails_midway", "200 OK, the server closed the connection before the end, 8 bytes"),
        ("too_short", "200 OK, 6 bytes of the body are missing, 4 bytes"),
        ("hangs_up", "the server closed the connection without a response, 0 bytes"),
    ],
)
def test_a_response_that_is_not_complete_is_explained(folder: Path, view: str, said: str) -> None:
    text = explain(folder, f"plain:{view}", "GET", "/")
    assert f"GET / → {said};" in text
    failed = re.search(r"The application raised (.*)\n  at (.*)\n", text)
    if view == "fails_midway":
        assert failed is not None and failed[1] == "LookupError: midway"
        assert failed[2].endswith("plain.py:18")
    else:
        assert failed is None


def test_an_application_that_ends_the_process_is_named(folder: Path) -> None:
    said = explain(folder, "plain:ends", "GET", "/", code=3)
    assert "os._exit(3), in ends, " in said
    assert "plain.py:30." in said
    assert "Traceback" not in said


def test_an_endless_response_is_cut_off_and_explained(folder: Path) -> None:
    text = explain(folder, "plain:endless", "GET", "/", "--timeout", "5", "--cold", "--depth=1")
    assert text.startswith("GET / → 200 OK, cut off after 5 s")
    assert any(step.startswith("The bytes are sent ×") for step in steps_of(text))


def test_ctrl_c_ends_it_and_shows_where_the_application_was(folder: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "carboy", "explain", "plain:hanging", "GET", "/"],
        cwd=folder, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stderr is not None
    assert child.stderr.readline() == "hanging\n"
    child.send_signal(signal.SIGINT)
    said = child.communicate(timeout=60)[1]
    assert child.returncode == 1
    assert "Stopped. The application runs hanging, " in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("missing", "GET", "/"), "There is no module 'missing'"),
        (("plain", "GET", "/", "-H", "no colon"), "Write it as 'Name: value'"),
        (("plain", "POST", "/", "--json", "{"), "The value is not JSON"),
        (("plain", "GET", "/", "-H", "X: a\nb"), "Write it as 'Name: value'"),
        (("plain", "GET", "/", "-H", "a b: c"), "Write it as 'Name: value'"),
        (("plain", "GET", "nowhere"), "Start it with /"),
        (("plain", "GET", "/a#b"), "leave out #"),
        (("plain", "G T", "/"), "is not an HTTP method"),
        (("plain", "POST", "/", "--json", "1", "-d", "1"), "exclude each other"),
        (("plain", "POST", "/", "-d", "@missing"), "missing cannot be read"),
        (("plain", "POST", "/", "-d", "@."), ". cannot be read: Is a directory"),
        (("plain", "GET", "/", "--html", "."), "is a directory"),
        (("plain", "GET", "/", "--html", "no/x.html"), "no/x.html cannot be written: No such"),
        (("plain", "GET", "/", "--only", "httq"), "Use one of: C, carboy, gateway,"),
    ],
)
def test_bad_input_is_explained(folder: Path, args: tuple[str, ...], said: str) -> None:
    done = ready_commands.run(["explain", *args], folder, {"PATH": ""})
    assert done.returncode in (1, 2)
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


SECRETS = [
    ("GET", "/hello/bob?token=hunter2", "-H", "X-Name: Bob", "-H", "Cookie: k=hunter2"),
    ("GET", "/hello/bob", "-H", "X-Name: Bob", "-H", "Authorization: Bearer hunter2"),
    ("POST", "/login", "-d", "user=bob&password=hunter2"),
    ("POST", "/echo", "--json", '{"login": {"api_key": "hunter2"}}'),
    ("POST", "/login", "-H", "Content-Type: multipart/form-data; boundary=B", "-d", "@form"),
]
FORM = b'--B\r\nContent-Disposition: form-data; name="password"\r\n\r\nhunter2\r\n--B--\r\n'


@pytest.mark.parametrize("app", ["ours", "theirs"])
@pytest.mark.parametrize("args", SECRETS)
def test_secrets_of_the_request_are_not_shown(
    folder: Path, app: str, args: tuple[str, ...]
) -> None:
    (folder / "form").write_bytes(FORM)
    explain(folder, app, *args, "--html", "page.html")
    assert "hunter2" not in (folder / "page.html").read_text()


def test_a_password_put_into_the_session_is_not_shown(folder: Path) -> None:
    explain(folder, "ours", "POST", "/login", "-d", "password=x", "--html", "page.html")
    page = (folder / "page.html").read_text()
    assert page.count("made-here") == page.count('= \\"made-here\\"') == 1  # in the source


@pytest.mark.xdist_group("chromium")
def test_the_page_can_be_navigated_and_searched_in_a_browser(folder: Path) -> None:
    explain(folder, "ours", *TO_HELLO, "--html", "page.html", CARBOY_EDITOR="vscode")
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1300, "height": 850})
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto((folder / "page.html").as_uri())
        page.keyboard.press("/")
        page.keyboard.type("hello")
        expect(page.locator("#detail pre")).to_contain_text("def hello(name):")
        expect(page.locator("#detail code.last")).to_contain_text("return render_template_string")
        expect(page.locator("#detail pre .keyword").first).to_have_text("def")
        edit = page.locator("#detail a", has_text="open in editor")
        expect(edit).to_have_attribute("href", re.compile(r"^vscode://file/.*/ours\.py:\d+$"))
        expect(page.locator("#detail a").first).to_have_attribute(
            "href", re.compile(r"file://.*ours\.py")
        )
        page.keyboard.press("Control+A")
        page.keyboard.type("render")
        hits = page.locator("#hits")
        expect(hits).to_contain_text("1 of ")
        page.keyboard.press("Enter")
        expect(hits).to_contain_text("2 of ")
        page.keyboard.press("Shift+Enter")
        expect(hits).to_contain_text("1 of ")
        bars = page.locator("#flame button").count()
        page.locator("#tree").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#flame")).to_have_class("zoomed")
        page.keyboard.press("Escape")
        expect(page.locator("#flame button")).to_have_count(bars)
        before = page.locator("#detail h3").inner_text()
        page.locator("#tree").focus()
        page.keyboard.press("ArrowUp")
        expect(page.locator("#detail h3")).not_to_have_text(before)
        if shots := os.environ.get("CARBOY_SHOTS"):
            page.locator("#steps button", has_text="view 'hello'").click()
            page.screenshot(path=f"{shots}/explain-light.png")
            page.emulate_media(color_scheme="dark")
            page.screenshot(path=f"{shots}/explain-dark.png")
    assert complaints == []
