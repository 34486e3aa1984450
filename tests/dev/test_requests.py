"""The list of requests: the records, access to them, and responses that are not affected."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from werkzeug.test import Client

import carboy
from carboy.cli.dev.tools import open_session, tracer_of
from carboy.dev.debugger import DebuggedApplication
from carboy.dev.explain.tracer import Tracer
from carboy.dev.requests import Record, RequestList, Store
from carboy.dev.requests.pages import request_details
from carboy.dev.requests.replay import curl
from carboy.serving import make_server
from chromium import chromium
from running import PATIENCE

CALL = {"number": 1, "title": "The rule is looked up", "where": "map.py", "time": 1}
HERE = {"environ_base": {"REMOTE_ADDR": "127.0.0.1"}, "base_url": "http://127.0.0.1"}
in_chromium = pytest.mark.xdist_group("chromium")  # tests that share the browser of a process


def application() -> Any:
    app = carboy.Flask(__name__)
    app.secret_key = "k"

    @app.route("/notes/<int:n>", methods=["GET", "POST"])
    def note(n: int) -> Any:
        app.logger.warning("about %s", n)
        carboy.flash("kept", "good")
        return carboy.render_template_string("{{ n }} {{ word }}", n=n, password="hunter2")

    @app.post("/form")
    def form() -> Any:
        return carboy.request.form["name"]

    @app.route("/fails", methods=["GET", "POST"])
    def fails() -> Any:
        carboy.request.form.get("name")
        raise LookupError("on purpose")

    @app.post("/upload")
    def upload() -> Any:
        return carboy.request.form["name"] + carboy.request.files["plan"].read().decode()

    @app.post("/json")
    def takes_json() -> Any:
        return {"title": carboy.request.get_json()["title"]}

    @app.get("/stream")
    def stream() -> Any:
        return (f"{n}\n" for n in range(1000)), {"Content-Type": "text/plain"}

    return app


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, limit=5)


@pytest.fixture(autouse=True)
def own_pin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WERKZEUG_DEBUG_PIN", "123-456")
    monkeypatch.setattr("time.sleep", lambda seconds: None)


@pytest.fixture
def wrapped(store: Store) -> Iterator[RequestList]:
    app = application()
    tracer = tracer_of(app, store)
    yield RequestList(app, store, DebuggedApplication(app), tracer)
    store.records_calls = False
    tracer.watch()  # stops the recording


@pytest.fixture
def client(wrapped: RequestList) -> Client:
    return Client(wrapped)


def entered(client: Client) -> Client:
    response = client.post("/__carboy__/", data={"pin": "123456"}, **HERE)
    assert response.status_code == 303
    assert client.get("/__carboy__/", **HERE).status_code == 200
    return client


def client_page(client: Client, record: Record) -> str:
    return entered(client).get(f"/__carboy__/{record.number}", **HERE).text


def events(record: Record, kind: str) -> list[tuple[str, str]]:
    return [(title, detail) for _, found, title, detail, _ in record.events if found == kind]


def test_events_are_recorded(
    client: Client, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.get("/notes/3?token=hunter2&page=2").text == "3 "
    [record] = store.all()
    assert (record.rule, record.endpoint, record.size) == ("/notes/<int:n>", "note", 2)
    assert record.body == "3 "
    assert events(record, "log") == [(f"WARNING {__name__}", "about 3")]
    assert events(record, "flash") == [("good", "kept")]
    [(name, context)] = events(record, "template")
    assert name == "a string"
    assert "n = 3" in context
    signals = [title for title, _ in events(record, "signal")]
    assert signals[:2] == ["appcontext_pushed", "request_started"]
    assert signals[-1] == "appcontext_popped"
    assert "hunter2" not in str(record.as_json())
    assert "page=2" in record.target


def test_a_template_that_fails_is_recorded(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    app = application()
    app.add_url_rule("/bad", "bad", lambda: carboy.render_template_string("{{ 1 / 0 }}"))
    Client(RequestList(app, store, DebuggedApplication(app))).get("/bad")
    [found] = events(store.all()[0], "template")
    assert found == ("a string", "The template was not rendered to its end.")


def test_a_form_is_recorded_if_the_application_has_read_it(client: Client, store: Store) -> None:
    assert client.post("/form", data={"name": "ada", "password": "hunter2"}).text == "ada"
    [record] = store.all()
    assert [tuple(pair) for pair in record.form] == [("name", "ada"), ("password", "••••••")]
    assert "--data-urlencode name=ada" in curl(record, "http://h")


def test_a_form_is_recorded_also_if_the_view_fails(client: Client, store: Store) -> None:
    client.post("/fails", data={"name": "ada"})
    [record] = store.all()
    assert [tuple(pair) for pair in record.form] == [("name", "ada")]


def test_uploaded_files_are_recorded_by_name(client: Client, store: Store) -> None:
    plan = (io.BytesIO(b"walls"), "plan.txt", "text/plain")
    assert client.post("/upload", data={"name": "a b", "plan": plan}).text == "a bwalls"
    [record] = store.all()
    assert [tuple(pair) for pair in record.files] == [("plan", "plan.txt")]
    command = curl(record, "http://h")
    assert "--form-string 'name=a b' --form plan=@plan.txt" in command
    assert "boundary" not in command  # curl chooses its own


def test_json_is_recorded_without_its_secrets(client: Client, store: Store) -> None:
    given = {"title": "Milk", "token": "hunter2"}
    client.post("/json", json=given)
    [record] = store.all()
    assert json.loads(record.json) == {"title": "Milk", "token": "••••••"}
    assert curl(record, "http://h").endswith("--data-raw '" + record.json + "' http://h/json")
    assert "Milk" in client_page(client, record)
    assert "hunter2" not in client_page(client, record)


def test_the_command_for_a_head_request_does_not_wait_for_a_body(
    client: Client, store: Store
) -> None:
    client.head("/notes/1", buffered=True)
    [record] = store.all()
    assert curl(record, "http://h") == "curl -I http://h/notes/1"


@pytest.mark.parametrize("path", ["/notes/1", "/stream"])
def test_times_of_events_are_without_the_time_of_recording(store: Store, path: str) -> None:
    """As is the duration of the request."""

    class Costly(Tracer):
        def cost(self, number: int) -> float:
            return 1000.0

    app = application()
    tracer = Costly(lambda traced: None, lambda: False)
    wrapped = RequestList(app, store, DebuggedApplication(app), tracer)
    Client(wrapped).get(path, buffered=True)
    [record] = store.all()
    assert {at for at, *_ in record.events} == {0.0}


def test_an_error_is_recorded_and_raised(
    client: Client, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.get("/fails").status_code == 500
    [(title, text)] = events(store.all()[0], "error")
    assert title == "LookupError: on purpose"
    assert "in fails" in text
    assert store.all()[0].summary()["error"]


def test_events_in_a_generator_are_recorded(store: Store) -> None:
    """The debugger is a generator, which calls the application for its first piece."""
    app = application()
    debugged = DebuggedApplication(app)
    client = Client(RequestList(debugged, store, debugged))
    assert client.get("/notes/3", buffered=True).text == "3 "
    [record] = store.all()
    assert record.endpoint == "note"
    assert events(record, "template")


def test_a_stream_is_not_buffered(wrapped: RequestList, store: Store) -> None:
    def start(status: str, headers: Any, exc_info: Any = None) -> Any:
        return lambda data: None

    environ = {"PATH_INFO": "/stream", "REQUEST_METHOD": "GET", "SERVER_NAME": "h"}
    environ |= {"SERVER_PORT": "80", "wsgi.url_scheme": "http"}
    answer = wrapped(environ, start)
    iterator = iter(answer)
    assert next(iterator) == b"0\n"
    assert store.all() == []  # the request has not ended
    assert next(iterator) == b"1\n"
    answer.close()  # type: ignore[attr-defined]
    assert store.all()[0].size == 4


def test_the_newest_records_are_kept(client: Client, store: Store) -> None:
    for n in range(8):
        client.get(f"/notes/{n}")
    assert [record.target for record in store.all()] == [f"/notes/{n}" for n in (7, 6, 5, 4, 3)]
    store.clear()
    assert store.all() == []


def test_a_missing_folder_does_not_affect_the_request(tmp_path: Path) -> None:
    app = application()
    client = Client(RequestList(app, Store(tmp_path / "gone"), DebuggedApplication(app)))
    assert client.get("/notes/1").status_code == 200


def test_log_lines_outside_of_a_request_are_not_recorded(store: Store, client: Client) -> None:
    client.get("/notes/1")
    logging.getLogger("elsewhere").warning("alone")
    assert "alone" not in str(store.all())


def test_requests_are_shown_only_with_the_pin(client: Client, store: Store) -> None:
    client.get("/notes/1")
    number = store.all()[0].number
    paths = ["/__carboy__/", f"/__carboy__/{number}", "/__carboy__/requests.json"]
    for path in paths:
        response = client.get(path, **HERE)
        assert response.status_code == 401
        assert "notes" not in response.text
    assert client.post("/__carboy__/clear", **HERE).status_code == 401
    assert client.post("/__carboy__/", data={"pin": "9"}, **HERE).status_code == 401
    entered(client)
    for path in paths:
        assert "notes" in client.get(path, **HERE).text
    assert client.get("/__carboy__/1", **HERE).status_code == 404


def test_after_ten_wrong_pins_the_right_one_is_refused(client: Client) -> None:
    for _ in range(10):
        client.post("/__carboy__/", data={"pin": "9"}, **HERE)
    response = client.post("/__carboy__/", data={"pin": "123456"}, **HERE)
    assert response.status_code == 401
    assert "Restart the server" in response.text


@pytest.mark.parametrize(
    "asked",
    [
        {"environ_base": {"REMOTE_ADDR": "192.168.1.9"}, "base_url": "http://127.0.0.1"},
        {"environ_base": {"REMOTE_ADDR": "127.0.0.1"}, "base_url": "http://evil.example"},
    ],
    ids=["another machine", "another name"],
)
def test_only_this_machine_can_enter_a_pin(client: Client, asked: dict[str, Any]) -> None:
    entered(client)
    assert client.get("/__carboy__/", **asked).status_code == 403


def test_other_sites_cannot_clear_the_list(client: Client) -> None:
    entered(client)
    headers = {"Origin": "http://evil.example"}
    assert client.post("/__carboy__/clear", headers=headers, **HERE).status_code == 403
    assert client.post("/__carboy__/clear", **HERE).status_code == 303


def test_values_of_a_request_are_escaped_on_the_page(client: Client, store: Store) -> None:
    client.get("/<script>alert(1)</script>", headers={"X-Evil": "<img src=x>"})
    entered(client)
    number = store.all()[0].number
    for path in ("/__carboy__/", f"/__carboy__/{number}"):
        text = client.get(path, **HERE).text
        assert "<script>alert" not in text
        assert "<img" not in text


def test_calls_are_stored_with_their_record(store: Store) -> None:
    def record(number: int) -> Record:
        return Record(number, 0.0, "GET", "/", [])

    for number in range(1, 8):
        store.add_calls(number, {"of": number})
        store.add(record(number))
    assert store.calls(7) == {"of": 7}
    assert store.calls(1) is None
    store.add_calls(1, {"of": 1})  # its record was deleted
    assert store.calls(1) is None
    store.clear()
    assert store.calls(7) is None
    assert not store.records_calls
    store.records_calls = True
    assert Store(store.folder).records_calls  # as seen by another process
    store.records_calls = False
    assert not store.records_calls


def test_a_page_waits_for_calls_that_are_being_written() -> None:
    record = Record(1, time.time(), "GET", "/", [], seconds=0.1, recording=0.05)
    assert "awaited" in request_details(record, "http://h")
    assert "awaited" not in request_details(record, "http://h", [CALL])
    record.began -= 60  # the calls were lost
    assert "awaited" not in request_details(record, "http://h")


def test_the_session_is_recorded_after_the_view(store: Store) -> None:
    app = application()

    @app.get("/enters")
    def enters() -> str:
        carboy.session.update(user="ada", token="hunter2")
        return "in"

    client = Client(RequestList(app, store, DebuggedApplication(app), None, open_session))
    client.get("/enters")
    client.get("/notes/1", headers={"Cookie": ""})
    first = store.all()[1]
    assert dict(first.session) == {"user": "'ada'", "token": "'••••••'"}


def test_signals_of_flask_are_recorded_too(store: Store) -> None:
    """In a separate process, because receivers stay connected."""
    code = """
import sys, tempfile, flask
from pathlib import Path
from carboy.cli.dev.tools import Tools
from carboy.dev.live import Broadcaster
from carboy.dev.requests import Store
from werkzeug.test import Client
app = flask.Flask("x")
app.secret_key = "k"
@app.get("/a/<n>")
def view(n):
    flask.session["seen"] = n
    return flask.render_template_string("{{ n }}", n=n)
folder = Path(sys.argv[1])
Client(Tools(requests=folder).around(app, Broadcaster("1"))).get("/a/3", buffered=True)
[record] = Store(folder).all()
print(record.rule, record.endpoint, *record.session[0], *(event.kind for event in record.events))
"""
    command = [sys.executable, "-c", code, str(store.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("/a/<n> view seen '3' signal signal view template")


@pytest.fixture
def page() -> Iterator[Page]:
    with chromium() as browser:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        yield page


@pytest.fixture
def address(wrapped: RequestList) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, wrapped, threaded=True)
    assert wrapped.tracer is not None
    server.trace = wrapped.tracer.watch
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@in_chromium
def test_in_a_browser_the_list_is_updated_and_has_keys(page: Page, address: str) -> None:
    page.goto(f"{address}/__carboy__/")
    page.fill("#pin", "123-456")
    page.keyboard.press("Enter")
    page.wait_for_selector("#rows", state="attached")
    page.request.get(f"{address}/notes/1")
    page.wait_for_selector('text="/notes/1"')
    page.request.get(f"{address}/fails", fail_on_status_code=False)
    page.wait_for_selector('text="/fails"')
    page.keyboard.press("/")
    page.keyboard.type("notes")
    assert page.locator("#rows tr:visible").count() == 1
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Events")
    assert "note" in page.inner_text("dl")


def debugged(store: Store) -> tuple[DebuggedApplication, Client]:
    app = application()
    app.debug = True
    guard = DebuggedApplication(app, evalex=True)
    return guard, Client(RequestList(guard, store, guard))


def test_a_failed_request_has_its_debugger_page(store: Store) -> None:
    """Even if its client got the exception as text."""
    guard, client = debugged(store)
    curl = {"User-Agent": "curl/8"}
    assert client.get("/fails", headers=curl, buffered=True).mimetype == "text/plain"
    [record] = store.all()
    path = f"/__carboy__/{record.number}/error"
    query = {"__debugger__": "yes", "s": guard.secret, "frm": list(guard.frames)[-1], "cmd": "1+1"}
    for refused in (client.get(path, **HERE), client.get(path, query_string=query, **HERE)):
        assert refused.status_code == 401
        assert "LookupError" not in refused.text
    assert f"href={path}" in entered(client).get("/__carboy__/", **HERE).text
    assert f"href={path}" in client.get(f"/__carboy__/{record.number}", **HERE).text
    page = client.get(path, **HERE)
    assert "LookupError" in page.text
    assert "EVALEX_TRUSTED = true" in page.text
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert "2" in client.post(path + "?__debugger__=yes", data=query, **HERE).text
    assert (
        client.post(path + "?__debugger__=yes", data={**query, "s": "x"}, **HERE).status_code == 410
    )
    foreign = {"Origin": "http://evil.example"}
    assert (
        client.post(path + "?__debugger__=yes", data=query, headers=foreign, **HERE).status_code
        == 403
    )
    client.post("/__carboy__/clear", **HERE)
    assert client.get(path, **HERE).status_code == 404
    assert not list(store.folder.glob("*.error"))


def test_a_request_without_an_exception_has_no_debugger_page(store: Store) -> None:
    _, client = debugged(store)
    client.get("/notes/1", buffered=True)
    [record] = store.all()
    assert "/error" not in client_page(client, record)
    assert client.get(f"/__carboy__/{record.number}/error", **HERE).status_code == 404


@in_chromium
def test_in_a_browser_the_debugger_page_of_a_request_has_a_console(
    page: Page, store: Store
) -> None:
    guard, _ = debugged(store)
    server = make_server("127.0.0.1", 0, RequestList(guard, store, guard), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.port}"
        page.goto(f"{address}/__carboy__/")
        page.fill("#pin", "123-456")
        page.keyboard.press("Enter")
        page.wait_for_selector("#rows", state="attached")
        page.request.get(f"{address}/fails", fail_on_status_code=False)
        page.click("text='500'")
        expect(page.locator("h1")).to_have_text("on purpose")
        page.keyboard.press("c")
        page.locator(".console textarea").fill("carboy.request.path")
        page.keyboard.press("Enter")
        expect(page.locator(".out").last).to_contain_text("/fails")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@in_chromium
def test_in_a_browser_requests_are_filtered(page: Page, address: str) -> None:
    page.goto(f"{address}/__carboy__/")
    page.fill("#pin", "123-456")
    page.keyboard.press("Enter")
    page.wait_for_selector("#rows", state="attached")
    page.request.get(f"{address}/notes/1")
    page.request.post(f"{address}/notes/2")
    page.request.get(f"{address}/none", fail_on_status_code=False)
    visible = page.locator("#rows tr:visible .target")
    expect(visible).to_have_text(["/none", "/notes/2", "/notes/1"])
    for choice, value, expected in (
        ("#status", "4", ["/none"]),
        ("#method", "POST", ["/notes/2"]),
        ("#took", "1000", []),
        ("#since", "60", ["/none", "/notes/2", "/notes/1"]),
    ):
        page.select_option(choice, value)
        expect(visible).to_have_text(expected)
        page.select_option(choice, "")


@in_chromium
def test_in_a_browser_a_request_is_sent_again_as_it_was_or_changed(
    page: Page, address: str, store: Store
) -> None:
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{address}/__carboy__/")
    page.fill("#pin", "123-456")
    page.keyboard.press("Enter")
    page.wait_for_selector("#rows", state="attached")
    page.request.post(
        f"{address}/form", form={"name": "a b", "password": "hunter2"}, headers={"X-Mine": "1"}
    )
    page.click('text="/form"')
    expect(page.locator(".replay .soft")).to_contain_text("enter them again")
    page.click("#replay button")
    expect(page.locator(".replay output")).to_contain_text("200 OK · Open this request")
    page.fill("[name=body]", "name=quince")
    page.fill("[name=target]", "/form?changed=1")
    page.click("#replay button")
    page.click("text=Open this request")
    expect(page.locator("h1")).to_contain_text("/form?changed=1")
    newest, again, first = store.all()
    assert [record.body for record in (newest, again, first)] == ["quince", "a b", "a b"]
    assert ("x-mine", "1") in [(name.lower(), value) for name, value in newest.request]
    page.fill("[name=target]", "http://evil.example/")
    page.click("#replay button")
    expect(page.locator(".replay output")).to_have_text(
        "The request can only be sent to this server."
    )
    assert problems == []
    assert len(store.all()) == 3


@in_chromium
def test_in_a_browser_the_pin_is_accepted_under_any_path(page: Page, address: str) -> None:
    page.goto(f"{address}/__carboy__/123")
    page.fill("#pin", "123-456")
    page.keyboard.press("Enter")
    page.wait_for_selector("#rows", state="attached")
    page.context.clear_cookies()  # as after a restart with another PIN
    page.wait_for_selector("#pin")


@in_chromium
def test_in_a_browser_calls_are_recorded_and_shown(page: Page, address: str) -> None:
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.goto(f"{address}/__carboy__/")
    page.fill("#pin", "123-456")
    page.keyboard.press("Enter")
    page.click("text=Calls: off")
    page.wait_for_selector("text=Calls: on")
    problems.clear()  # the PIN page has status 401
    page.request.get(f"{address}/notes/1")
    page.click('text="/notes/1"')
    page.wait_for_selector("text=View 'note' runs")
    page.click("text=all calls")
    page.click("#steps button:has-text('View')")
    expect(page.locator("#detail")).to_contain_text("carboy.flash")  # its source code
    page.fill("#search", "flash")
    expect(page.locator("#tree .chosen")).to_contain_text("flash")
    page.click("header a")
    page.wait_for_selector("text=Events")
    assert problems == []  # the policy allows its style sheet and script


@in_chromium
def test_in_a_browser_a_request_is_explained_by_one_button(
    page: Page, address: str, store: Store
) -> None:
    """It is sent again, recorded with its calls; recording is switched off afterwards."""
    page.goto(f"{address}/__carboy__/")
    page.fill("#pin", "123-456")
    page.keyboard.press("Enter")
    page.wait_for_selector("#rows", state="attached")
    page.request.get(f"{address}/notes/1")
    page.click('text="/notes/1"')
    page.click("text=Explain this request")
    page.wait_for_url("**/calls")
    page.wait_for_selector("#steps button:has-text('View')")
    assert not store.records_calls
    again, first = store.all()
    assert "carboy-replay" not in str(again.request).lower()
    page.goto(f"{address}/__carboy__/{again.number}")
    page.click("text=Explain this request")  # its calls are there
    page.wait_for_selector("#steps button:has-text('View')")
    assert len(store.all()) == 2


@in_chromium
def test_in_a_browser_an_unsafe_request_is_explained_after_a_question(
    page: Page, address: str, store: Store
) -> None:
    asked: list[str] = []
    page.goto(f"{address}/__carboy__/")
    page.fill("#pin", "123-456")
    page.keyboard.press("Enter")
    page.wait_for_selector("#rows", state="attached")
    page.request.post(f"{address}/json", data={"title": "Milk"})
    page.click('text="/json"')
    page.once("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    page.click("text=Explain this request")
    assert asked == ["Send POST /json again?"]
    assert len(store.all()) == 1
    page.once("dialog", lambda dialog: dialog.accept())
    page.click("text=Explain this request")
    page.wait_for_url("**/calls")
    again, first = store.all()
    assert again.json == first.json == '{"title": "Milk"}'


def test_what_is_not_stored_of_a_request_is_named(client: Client, store: Store) -> None:
    """It is not sent again as if it were complete."""
    client.post("/json", json={"title": "M" * 70_000}, headers={"Authorization": "Bearer x"})
    text = client_page(client, store.all()[0])
    assert "The JSON was too long to be stored." in text
    assert "these headers are missing: Authorization." in text
    assert "data-whole=false" in text
    client.post("/notes/1", data=b"\xff\x00", content_type="application/octet-stream")
    text = client.get(f"/__carboy__/{store.all()[0].number}", **HERE).text
    assert "The body was not stored" in text
    assert curl(store.all()[0], "http://h").endswith("--data-binary @body http://h/notes/1")
    assert "data-whole=false" in text
    client.get("/notes/1")
    assert "data-whole=true" in client.get(f"/__carboy__/{store.all()[0].number}", **HERE).text


def test_a_stream_that_the_client_leaves_is_marked(wrapped: RequestList, store: Store) -> None:
    environ = {"PATH_INFO": "/stream", "REQUEST_METHOD": "GET", "SERVER_NAME": "h"}
    environ |= {"SERVER_PORT": "80", "wsgi.url_scheme": "http"}
    answer = wrapped(environ, lambda status, headers, exc_info=None: lambda data: None)
    next(iter(answer))
    answer.close()  # type: ignore[attr-defined]
    assert events(store.all()[0], "response") == [("1 piece", "The client left before the end.")]
    Client(wrapped).get("/stream", buffered=True)
    assert events(store.all()[0], "response") == [("1,000 pieces", "")]
    Client(wrapped).head("/stream", buffered=True)
    assert events(store.all()[0], "response") == []


def test_an_exception_during_a_stream_is_recorded(store: Store) -> None:
    app = application()

    @app.get("/breaks")
    def breaks() -> Any:
        def pieces() -> Iterator[str]:
            yield "a"
            raise LookupError("midway")

        return pieces()

    client = Client(RequestList(app, store, DebuggedApplication(app)))
    with pytest.raises(LookupError):
        client.get("/breaks", buffered=True)
    [(title, text)] = events(store.all()[0], "error")
    assert title == "LookupError: midway"
    assert "in pieces" in text


def test_a_stream_that_fails_has_the_status_that_was_sent(store: Store) -> None:
    """The debugger cannot replace it. Its exception is an event, and so is that of a WSGI view."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        if environ["PATH_INFO"] == "/exits":
            raise SystemExit
        if environ["PATH_INFO"] == "/early":
            raise LookupError("early")
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"a"
        raise LookupError("midway")

    guard = DebuggedApplication(app)
    wrapped = RequestList(guard, store, guard)
    sent: list[str] = []

    def start(status: str, headers: Any, exc_info: Any = None) -> Any:
        if sent:
            raise exc_info[1]
        sent.append(status)
        return lambda data: None

    for path, status, error in (
        ("/", "200 OK", "LookupError: midway"),
        ("/early", "500 INTERNAL SERVER ERROR", "LookupError: early"),
        ("/exits", "500 Internal Server Error", "SystemExit"),
    ):
        sent.clear()
        environ = {"PATH_INFO": path, "REQUEST_METHOD": "GET", "SERVER_NAME": "h"}
        environ |= {"SERVER_PORT": "80", "wsgi.url_scheme": "http", "wsgi.errors": io.StringIO()}
        try:
            answer = wrapped(environ, start)
            list(answer)
        except (LookupError, SystemExit):
            pass
        answer.close()  # type: ignore[attr-defined]
        record = store.all()[0]
        assert (record.status, [title for title, _ in events(record, "error")]) == (status, [error])
