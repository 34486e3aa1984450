"""`carboy explain` in a process of its own, for a Carboy and for a real Flask application."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from running import Running

pytestmark = pytest.mark.xdist_group("chromium")

APP = """
from {package} import Flask, render_template_string, request, request_started

app = Flask(__name__)

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

@app.get("/<path:rest>")
def rest(rest):
    return rest
"""
PLAIN = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
PIECES = """
def app(environ, start_response):
    start_response("200 OK", [])
    return (b"x" * 100_000 for _ in range(10))
"""
HANGS = """
import threading

def app(environ, start_response):
    print("it runs", flush=True)
    threading.Event().wait()
"""
TO_HELLO = ("GET", "/hello/bob", "-H", "X-Name: Bob")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ours.py").write_text(APP.format(package="carboy"))
    (tmp_path / "theirs.py").write_text(APP.format(package="flask"))
    (tmp_path / "plain.py").write_text(PLAIN)
    return tmp_path


def explain(folder: Path, *args: str, code: int = 0, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "carboy", "explain", *args],
        cwd=folder, env={"PATH": "", **env}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout + done.stderr


@pytest.mark.parametrize("app", ["ours", "theirs"])
def test_the_steps_go_from_accept_to_the_last_send(folder: Path, app: str) -> None:
    text = explain(folder, app, *TO_HELLO)
    steps = re.findall(r"^ +\d+\. (.+?)  \(", text, re.MULTILINE)
    wanted = [
        "The connection is accepted",
        "Octets are read from the socket",
        "The octets become the head of a request",
        "Before_request hook 'remember' runs",
        "View 'hello' runs",
        "The template is rendered",
        "The octets are sent",
    ]
    # A streamed answer is sent in pieces, each a step.
    assert list(dict.fromkeys(step for step in steps if step in wanted)) == wanted
    assert steps[0] == wanted[0] and steps[-1] == wanted[-1]
    assert any("rule" in step for step in steps)
    assert any("request.headers" in step for step in steps)


@pytest.mark.parametrize("app", ["ours", "theirs"])
def test_signals_and_the_rule_are_told(folder: Path, app: str) -> None:
    text = explain(folder, app, *TO_HELLO)
    assert "Signal request-started is sent" in text
    assert "Receiver 'heard' of signal request-started runs" in text
    rules = text.partition("How the rule was found")[2].partition("\n\n")[0]
    assert "✓ /hello/<name> → hello  (name='bob')" in rules
    assert "· /<path:rest> → rest  (rest='hello/bob')\n      has a variable where" in rules


def test_of_a_flask_application_the_calls_of_flask_and_werkzeug_show(folder: Path) -> None:
    text = explain(folder, "theirs", *TO_HELLO)
    assert re.search(r"flask Flask\.wsgi_app .*flask/app\.py:\d+-\d+", text)
    assert re.search(r"werkzeug MapAdapter\.match .*werkzeug/routing/map\.py:\d+-\d+", text)


def test_any_wsgi_callable_is_explained(folder: Path) -> None:
    assert re.search(r"your application app plain\.py:2-4", explain(folder, "plain", "GET", "/"))


def test_only_shows_one_room_and_depth_cuts_the_tree(folder: Path) -> None:
    calls = explain(folder, "ours", *TO_HELLO, "--only", "protocol", "--depth", "1")
    lines = calls.partition("\nCalls\n")[2].splitlines()
    assert lines
    assert [line for line in lines if not re.match(r" *[\d.,]+ [µm]s protocol ", line)] == []


def test_pieces_that_are_sent_in_a_row_are_one_step(folder: Path) -> None:
    (folder / "pieces.py").write_text(PIECES)
    text = explain(folder, "pieces", "GET", "/", "--report", "chain.md", "--html", "page.html")
    assert text.count("The octets are sent") == 0  # they are in the files
    report = (folder / "chain.md").read_text()
    assert re.search(r"\*\*The octets are sent\*\*: `socket.send`, \d+ times, ", report)
    text = explain(folder, "pieces", "GET", "/")
    assert re.search(r"The octets are sent  \(.*\)  [\d.]+ .s in \d+ calls\n", text)
    assert text.count(". The octets are sent") == 1


def test_ctrl_c_ends_it_while_the_application_runs_for_ever(folder: Path) -> None:
    (folder / "hangs.py").write_text(HANGS)
    with Running("explain", "hangs", "GET", "/", cwd=folder) as asking:
        asking.line("it runs")
        while True:  # the first may come just before it begins to wait
            asking.send(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                assert asking.process.wait(1) == 1
                break
        asking.wait()
        assert "Traceback" not in asking.text()


def test_json_is_sent_with_its_content_type(folder: Path) -> None:
    text = explain(folder, "ours", "POST", "/echo", "--json", '{"a": 1}')
    assert text.startswith("POST /echo → 200 OK")
    assert "The body of the request is complete" in text


@pytest.mark.parametrize("app", ["ours", "theirs"])
def test_where_the_application_raised_is_said_beside_the_500(folder: Path, app: str) -> None:
    text = explain(folder, app, "GET", "/boom")
    assert "GET /boom → 500 INTERNAL SERVER ERROR" in text
    assert "The application raised ZeroDivisionError: division by zero" in text
    assert f"{app}.py:24" in text


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("missing", "GET", "/"), "There is no module 'missing'"),
        (("plain", "GET", "/", "-H", "no colon"), "write it as 'Name: value'"),
        (("plain", "POST", "/", "--json", "{"), "this is no JSON"),
        (("plain", "GET", "nowhere"), "begins with /"),
        (("plain", "G T", "/"), "is no method"),
        (("plain", "POST", "/", "--json", "1", "-d", "1"), "not both"),
        (("plain", "POST", "/", "-d", "@missing"), "missing cannot be read"),
        (("plain", "GET", "/", "--only", "httq"), "There are: C, carboy, gateway,"),
    ],
)
def test_bad_input_is_explained(folder: Path, args: tuple[str, ...], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "carboy", "explain", *args],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode in (1, 2)
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_the_report_names_packages_licences_and_permanent_links(folder: Path) -> None:
    explain(folder, "theirs", *TO_HELLO, "--report", "chain.md")
    text = (folder / "chain.md").read_text()
    assert "| flask | 3.1." in text
    assert "https://github.com/pallets/flask | BSD-3-Clause |" in text
    assert re.search(
        r"https://github\.com/pallets/flask/blob/3\.1\.\d+/src/flask/app\.py#L\d+-L\d+", text
    )
    assert "Keep notice and conditions" in text


LOGIN = """
from {package} import Flask, request, session

app = Flask(__name__)
app.secret_key = "key"

def check(value):
    return value[::-1]

@app.post("/login")
def login():
    sent = request.get_json(silent=True) or request.form
    session["shown"] = sent["password"]
    check(request.cookies["id"])
    check(request.args["token"])
    return check(sent["password"])
"""


@pytest.mark.parametrize("package", ["carboy", "flask"])
@pytest.mark.parametrize(
    "body", [("-d", "user=ada&password=hunter2"), ("--json", '{"password": "hunter2"}')]
)
def test_no_secret_gets_out_whatever_it_is_called_on_its_way(
    folder: Path, package: str, body: tuple[str, str]
) -> None:
    (folder / "login.py").write_text(LOGIN.format(package=package))
    request = (
        "login", "POST", "/login?token=hunter2-t", *body, "-H", "Cookie: id=hunter2-c",
        "-H", "Authorization: Bearer hunter2-a", "-H", "X-Api-Key: hunter2-k",
    )  # fmt: skip
    explain(folder, *request, "--report", "chain.md", "--html", "page.html")
    texts = [explain(folder, *request, "--full")]
    texts += [(folder / name).read_text() for name in ("chain.md", "page.html")]
    for text in texts:
        assert "200 OK" in text
        assert "hunter2" not in text


def test_the_page_is_walked_and_searched_in_a_browser(folder: Path) -> None:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is not installed")
        pytest.skip("Chromium is not installed")
    explain(folder, "ours", *TO_HELLO, "--html", "page.html", CARBOY_EDITOR="vscode")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 850})
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto((folder / "page.html").as_uri())
        page.keyboard.press("/")
        page.keyboard.type("hello")
        expect(page.locator("#detail pre")).to_contain_text("def hello(name):")
        expect(page.locator("#detail pre .keyword").first).to_have_text("def")
        edit = page.locator("#detail a", has_text="open in editor")
        expect(edit).to_have_attribute("href", re.compile(r"^vscode://file/.*/ours\.py:\d+$"))
        before = page.locator("#detail h3").inner_text()
        page.locator("#tree").focus()
        page.keyboard.press("ArrowUp")
        expect(page.locator("#detail h3")).not_to_have_text(before)
        if shots := os.environ.get("CARBOY_SHOTS"):
            page.locator("#steps button", has_text="View 'hello'").click()
            page.screenshot(path=f"{shots}/explain-light.png")
            page.emulate_media(color_scheme="dark")
            page.screenshot(path=f"{shots}/explain-dark.png")
        browser.close()
    assert complaints == []
