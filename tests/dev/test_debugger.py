"""DebuggedApplication: its pages, and the checks before it runs code."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import werkzeug.debug
from werkzeug.test import Client

import carboy
import carboy.dev.debugger
from carboy.dev.debugger import DebuggedApplication, hash_pin
from carboy.dev.masking import MASK, masked, masked_url
from carboy.testing.live import live_server
from running import PATIENCE

BOTH = pytest.mark.parametrize(
    "module", [carboy.dev.debugger, werkzeug.debug], ids=["ours", "theirs"]
)
HOST = "http://127.0.0.1"


def failing(environ: dict[str, Any], start_response: Any) -> Any:
    name = "value of a local"
    raise LookupError(f"no {name}")


@pytest.fixture(autouse=True)
def own_pin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WERKZEUG_DEBUG_PIN", "123-456")
    monkeypatch.delenv("WERKZEUG_RUN_MAIN", raising=False)
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def debugged(module: Any = carboy.dev.debugger, app: Any = failing, **options: Any) -> Any:
    return module.DebuggedApplication(app, **{"evalex": True, **options})


def browser(app: Any) -> Client:
    return Client(app)


def asked(client: Client, **query: Any) -> Any:
    return client.get("/", base_url=HOST, query_string={"__debugger__": "yes", **query})


def frame_of(app: Any) -> int:
    return list(app.frames)[-1]


@BOTH
def test_an_exception_is_a_page_with_500(module: Any) -> None:
    errors = io.StringIO()
    response = browser(debugged(module)).get("/", errors_stream=errors)
    assert response.status_code == 500
    assert response.mimetype == "text/html"
    assert "LookupError" in response.text
    assert "no value of a local" in response.text
    assert "EVALEX = true" in response.text
    assert "LookupError: no value of a local" in errors.getvalue()


@BOTH
def test_a_response_without_an_exception_is_not_changed(module: Any) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("201 Made", [("X-Mine", "1")])
        return [b"a", b"b"]

    response = browser(debugged(module, app)).get("/")
    assert (response.status, response.data, response.headers["X-Mine"]) == ("201 Made", b"ab", "1")


@BOTH
def test_an_exception_after_the_head_is_logged(module: Any) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"begun"
        raise LookupError("late")

    errors = io.StringIO()
    browser(debugged(module, app)).get("/", errors_stream=errors, buffered=True)
    assert "LookupError: late" in errors.getvalue()


def test_an_exception_before_the_first_byte_is_a_page() -> None:
    """In a generator before its first piece, or while the request is torn down."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "1"), ("X-Mine", "1")])
        raise LookupError("late")
        yield b"x"

    with live_server(debugged(app=app)) as url:
        response = httpx.get(url, headers={"Accept": "text/html"})
    assert response.status_code == 500
    assert "LookupError: late" in response.text
    assert "X-Mine" not in response.headers


@pytest.mark.parametrize(
    ("headers", "page"),
    [
        ({}, True),
        ({"Accept": "text/html,*/*;q=0.8"}, True),
        ({"Accept": "*/*"}, True),
        ({"Accept": "*/*", "User-Agent": "curl/8.1"}, False),
        ({"User-Agent": "curl/8.1"}, False),
        ({"Accept": "application/json"}, False),
        ({"Accept": "application/json, text/plain, */*"}, False),
    ],
    ids=str,
)
def test_programs_and_terminals_get_text(headers: dict[str, str], page: bool) -> None:
    response = browser(debugged()).get("/", headers=headers)
    assert response.mimetype == ("text/html" if page else "text/plain")
    assert response.status_code == 500
    assert "LookupError: no value of a local" in response.text


SECRETS = {
    "query": {"path": "/?token=hunter2&page=3"},
    "path in query": {"path": "/?next=/x&access%5Ftoken=hunter2"},
    "referer": {"headers": {"Referer": "http://you:hunter2@h/?password=hunter2&page=3"}},
    "header": {"headers": {"X-Api-Key": "hunter2", "Proxy-Authorization": "Basic hunter2"}},
    "form": {"method": "POST", "data": {"password": "hunter2"}},
}


@pytest.mark.parametrize("request_of", SECRETS.values(), ids=SECRETS)
def test_no_secret_of_the_request_is_on_the_page(request_of: dict[str, Any]) -> None:
    app = carboy.Flask(__name__)
    view = eval("lambda: 1 / 0")  # so that its source code, with the secrets above, is not shown
    app.add_url_rule("/", view_func=view, methods=["GET", "POST"], endpoint="fails")
    app.debug = True
    page = browser(DebuggedApplication(app)).open(**request_of).text
    assert "ZeroDivisionError" in page
    assert "hunter2" not in page


def test_secrets_inside_of_values_are_masked() -> None:
    value = {"user": {"name": "ada", "token": "hunter2"}, "list": [{"password": "x"}, ("a", 1)]}
    shown = {"user": {"name": "ada", "token": MASK}, "list": [{"password": MASK}, ("a", 1)]}
    assert masked("profile", value) == shown
    assert masked("token", value) == MASK
    assert masked_url("http://h/a?b=c;key=d#auth=e") == f"http://h/a?b=c;key={MASK}#auth={MASK}"


def test_the_page_shows_the_request_with_its_secrets_masked() -> None:
    app = carboy.Flask("scenario")
    app.secret_key = "key"

    @app.post("/form")
    def form() -> None:
        carboy.session["visitor"] = "Ada"
        carboy.session["access_token"] = "t0ken"
        assert carboy.request.form["name"]
        raise LookupError

    app.testing = True
    client = Client(debugged(app=app.wsgi_app))
    client.set_cookie("choice", "tasty")
    response = client.post(
        "/form?page=3",
        data={"name": "Lovelace", "password": "hunter2"},
        headers={"Authorization": "Bearer abc", "X-Shown": "seen"},
    )
    for shown in ("Lovelace", "seen", "page", "Ada", "POST"):
        assert shown in response.text, shown
    request = response.text.partition("<section class=request>")[2].partition("</section>")[0]
    for hidden in ("hunter2", "Bearer abc", "tasty", "t0ken"):
        assert hidden not in request, hidden


# --- secret, host and PIN


@BOTH
def test_code_runs_only_with_secret_pin_and_host(module: Any) -> None:
    app = debugged(module)
    client = browser(app)
    client.get("/", base_url=HOST)
    query = {"frm": frame_of(app), "cmd": "name"}
    assert "value of a local" not in asked(client, s=app.secret, **query).text.split("<!")[0]
    pin = asked(client, cmd="pinauth", pin="123456", s=app.secret)
    assert json.loads(pin.data) == {"auth": True, "exhausted": False}
    cookie = pin.headers["Set-Cookie"]
    assert cookie.startswith(f"{app.pin_cookie_name}=")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    client.get("/", base_url=HOST)
    query["frm"] = frame_of(app)
    assert asked(client, s=app.secret, **query).text.startswith(">>> name")
    assert not asked(client, s="wrong", **query).text.startswith(">>>")
    assert not asked(client, **query).text.startswith(">>>")
    foreign = Client(app, use_cookies=False).get(
        "/",
        base_url="http://evil.example",
        query_string={"__debugger__": "yes", "s": app.secret, **query},
        headers={"Cookie": cookie.split(";")[0]},
    )
    assert foreign.status_code == 400


@BOTH
def test_a_wrong_pin_is_refused_and_ten_exhaust_the_attempts(module: Any) -> None:
    app = debugged(module)
    client = browser(app)
    for _ in range(10):
        answer = asked(client, cmd="pinauth", pin="999", s=app.secret)
        assert json.loads(answer.data)["auth"] is False
        assert "Set-Cookie" not in answer.headers
    answer = asked(client, cmd="pinauth", pin="123-456", s=app.secret)
    assert json.loads(answer.data) == {"auth": False, "exhausted": True}


@BOTH
def test_a_cookie_for_another_pin_is_deleted(module: Any) -> None:
    app = debugged(module)
    client = browser(app)
    client.set_cookie(app.pin_cookie_name, "99999999999|wrong", domain="127.0.0.1")
    answer = asked(client, cmd="pinauth", pin="999", s=app.secret)
    assert json.loads(answer.data)["auth"] is False
    assert "Max-Age=0" in answer.headers["Set-Cookie"]


def test_the_right_pin_replaces_a_cookie_for_another_pin() -> None:
    """The PIN is another one at each start, so browsers have such cookies. Werkzeug refuses it."""
    app = debugged()
    client = browser(app)
    client.set_cookie(app.pin_cookie_name, "99999999999|wrong", domain="127.0.0.1")
    assert asked(client, cmd="pinauth", pin="123-456", s=app.secret).json["auth"] is True
    assert asked(client, cmd="pinauth", pin="999", s=app.secret).json["auth"] is True  # by cookie


@pytest.mark.parametrize(
    ("value", "trusted"),
    [
        (None, False),
        ("", False),
        ("x", False),
        ("x|y", False),
        ("99999999999|y", None),
        ("1|" + hash_pin("123-456"), False),
        ("99999999999|" + hash_pin("123-456"), True),
    ],
)
def test_a_cookie_is_trusted_only_with_the_right_hash_and_time(
    value: str | None, trusted: bool | None
) -> None:
    for module in (carboy.dev.debugger, werkzeug.debug):
        app: Any = debugged(module)
        cookie = {} if value is None else {"HTTP_COOKIE": f"{app.pin_cookie_name}={value}"}
        assert app.check_pin_trust(cookie) is trusted


def test_carboy_and_werkzeug_accept_each_others_cookies() -> None:
    assert hash_pin("123-456") == werkzeug.debug.hash_pin("123-456")


@pytest.mark.parametrize("pin", ["off", "123", "123-456", "123456789", "1234567890", "abc-d", "--"])
def test_the_variable_sets_the_pin(pin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WERKZEUG_DEBUG_PIN", pin)
    ours = carboy.dev.debugger.get_pin_and_cookie_name(failing)
    theirs = werkzeug.debug.get_pin_and_cookie_name(failing)
    if pin in ("abc-d", "--"):
        assert ours[0] is not None
        assert len(ours[0]) == len(theirs[0])
    else:
        assert ours[0] == theirs[0]


def test_the_derived_pin_stays_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WERKZEUG_DEBUG_PIN")
    first, cookie = carboy.dev.debugger.get_pin_and_cookie_name(failing)
    assert (first, cookie) == carboy.dev.debugger.get_pin_and_cookie_name(failing)
    assert first is not None
    assert first.replace("-", "").isdecimal()
    assert [len(part) for part in first.split("-")] == [3, 3, 3]


def test_without_pin_security_no_pin_is_needed() -> None:
    app = debugged(pin_security=False)
    client = browser(app)
    client.get("/", base_url=HOST)
    shown = asked(client, s=app.secret, frm=frame_of(app), cmd="name")
    assert "value of a local" in shown.text


def test_without_evalex_there_is_no_console() -> None:
    app = debugged(evalex=False, pin_security=False)
    client = browser(app)
    assert "EVALEX = false" in client.get("/", base_url=HOST).text
    assert not asked(client, s=app.secret, frm=frame_of(app), cmd="1").text.startswith(">>>")
    assert client.get("/console", base_url=HOST).status_code == 500


@BOTH
def test_the_pin_is_logged_when_a_page_asks_for_it(
    module: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "werkzeug")
    app = debugged(module)
    asked(browser(app), cmd="printpin", s=app.secret)
    asked(browser(app), cmd="printpin", s="wrong")
    assert [record.getMessage() for record in caplog.records if " * " in record.getMessage()] == [
        " * To enable the debugger you need to enter the security pin:",
        " * Debugger pin code: 123-456",
    ]


@BOTH
def test_the_process_of_a_reloader_tells_the_pin_at_its_start(
    module: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WERKZEUG_RUN_MAIN", "true")
    caplog.set_level(logging.INFO, "werkzeug")
    debugged(module)
    monkeypatch.setenv("WERKZEUG_DEBUG_PIN", "off")
    debugged(module)
    assert [record.getMessage() for record in caplog.records] == [
        " * Debugger is active!",
        " * Debugger PIN: 123-456",
        " * Debugger is active!",
        " * Debugger PIN disabled. DEBUGGER UNSECURED!",
    ]


# --- the console and the files of the page


def test_the_console_page_has_the_names_of_its_init_function() -> None:
    app = debugged(pin_security=False, console_init_func=lambda: {"answer": 42})
    client = browser(app)
    assert "CONSOLE_MODE = true" in client.get("/console", base_url=HOST).text
    assert '<span class="number">42</span>' in asked(client, s=app.secret, frm=0, cmd="answer").text
    assert "function failing" in asked(client, s=app.secret, frm=0, cmd="app").text
    assert client.get("/console", base_url="http://evil.example").status_code == 400


def test_names_are_completed() -> None:
    app = debugged(pin_security=False)
    client = browser(app)
    client.get("/", base_url=HOST)
    found = asked(client, s=app.secret, frm=frame_of(app), complete="print(name.upp").json
    assert found == {"typed": "upp", "found": ["upper()"]}
    found = asked(client, s=app.secret, frm=frame_of(app), complete="zzz").json
    assert found == {"typed": "zzz", "found": []}


def test_the_files_of_the_page_are_served_and_nothing_else() -> None:
    client = browser(debugged())
    for name, kind in (("style.css", "text/css"), ("debugger.js", "text/javascript")):
        response = asked(client, cmd="resource", f=name)
        assert (response.status_code, response.mimetype) == (200, kind)
        again = client.get(
            "/",
            query_string={"__debugger__": "yes", "cmd": "resource", "f": name},
            headers={"If-None-Match": response.headers["ETag"]},
        )
        assert again.status_code == 304
    for name in ("../page.py", "__init__.py", "nothing.css", "/etc/passwd"):
        assert asked(client, cmd="resource", f=name).status_code == 404


def test_a_console_runs_in_the_contexts_of_its_request() -> None:
    app = carboy.Flask("scenario")

    @app.get("/<name>")
    def view(name: str) -> None:
        carboy.g.mine = name
        raise LookupError

    app.testing = True
    wrapped = debugged(app=app.wsgi_app, pin_security=False)
    client = browser(wrapped)
    client.get("/ada", base_url=HOST)
    wrapped_frame = next(f for f in wrapped.frames.values() if f.name == "view")
    shown = asked(
        client, s=wrapped.secret, frm=id(wrapped_frame), cmd="carboy.request.path + carboy.g.mine"
    )
    assert "/adaada" in shown.text


def failed_view() -> tuple[Any, Client, int]:
    """A debugged application whose view has failed: wrapper, client, frame of the view."""
    app = carboy.Flask("scenario")

    @app.get("/<name>")
    def view(name: str) -> None:
        raise LookupError

    app.add_url_rule("/well", view_func=lambda: "well")
    app.testing = True
    wrapped = debugged(app=app.wsgi_app, pin_security=False)
    client = browser(wrapped)
    client.get("/ada?page=1", base_url=HOST)
    return wrapped, client, next(id(f) for f in wrapped.frames.values() if f.name == "view")


def test_completion_runs_in_the_contexts_of_its_request() -> None:
    wrapped, client, frame = failed_view()
    asked(client, s=wrapped.secret, frm=frame, cmd="from carboy import request")
    for text, found in (("requ", "request"), ("request.pa", "path"), ("request.args[", "'page']")):
        response = asked(client, s=wrapped.secret, frm=frame, complete=text)
        assert response.status_code == 200
        assert found in response.json["found"]


def test_request_session_and_g_are_names_of_every_frame_of_a_request() -> None:
    app = carboy.Flask("scenario")
    app.secret_key = "key"

    @app.get("/<name>")
    def view(name: str) -> None:
        carboy.session["visitor"] = name
        carboy.g.mine = name
        hides(name)

    def hides(g: str) -> None:
        raise LookupError

    app.testing = True
    wrapped = debugged(app=app.wsgi_app, pin_security=False)
    client = browser(wrapped)
    client.get("/ada", base_url=HOST)
    for function, code in (("view", "g.mine"), ("hides", "g")):
        frame = next(id(f) for f in wrapped.frames.values() if f.name == function)
        typed = f"request.path, session['visitor'], {code}"
        shown = asked(client, s=wrapped.secret, frm=frame, cmd=typed).text
        assert shown.count("ada") == 3


def test_names_of_proxies_outside_of_their_context_are_completed() -> None:
    app = debugged(pin_security=False, console_init_func=lambda: {"request": carboy.request})
    client = browser(app)
    client.get("/console", base_url=HOST)
    response = asked(client, s=app.secret, frm=0, complete="reque")
    assert response.json["found"] == ["request"]
    assert asked(client, s=app.secret, frm=0, complete="request.pa").json["found"] == []


def test_locals_are_shown_in_the_contexts_of_their_request() -> None:
    app = carboy.Flask("scenario")

    @app.get("/<name>")
    def view(name: str) -> None:
        request = carboy.request  # noqa: F841 - shown by the debugger
        raise LookupError

    app.testing = True
    wrapped = debugged(app=app.wsgi_app, pin_security=False)
    client = browser(wrapped)
    client.get("/ada", base_url=HOST)
    frame = next(id(f) for f in wrapped.frames.values() if f.name == "view")
    shown = asked(client, s=wrapped.secret, frm=frame, locals="yes").text
    assert "/ada" in shown
    assert "unbound" not in shown


@pytest.mark.parametrize(
    "code", ["while True: pass", "while True:\n  try: 1/0\n  except Exception: pass\n"]
)
def test_code_that_loops_can_be_stopped(code: str) -> None:
    wrapped, client, frame = failed_view()
    shown: list[str] = []

    def run() -> None:
        shown.append(asked(Client(wrapped), s=wrapped.secret, frm=frame, cmd=code + "\n").text)

    runs = threading.Thread(target=run, daemon=True)
    runs.start()
    deadline = time.monotonic() + PATIENCE
    stop = {"s": wrapped.secret, "frm": frame, "stop": "yes"}
    while not json.loads(asked(client, **stop).data)["stopped"]:
        assert time.monotonic() < deadline
    runs.join(PATIENCE)
    assert "KeyboardInterrupt" in shown[0]
    assert not asked(client, **stop).json["stopped"]
    assert client.get("/well").text == "well"
    assert "3" in asked(client, s=wrapped.secret, frm=frame, cmd="1 + 2").text


def test_the_application_does_not_get_requests_of_an_old_page() -> None:
    called: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        called.append(environ)
        start_response("200 OK", [])
        return [b"created"]

    client = browser(debugged(app=app))
    form = {"s": "that of another start", "frm": "1", "cmd": "1 + 1"}
    response = client.post("/", base_url=HOST, query_string="__debugger__=yes", data=form)
    assert (response.status_code, called) == (410, [])
    assert client.post("/?__debugger__=yes", base_url=HOST, data={"own": "1"}).text == "created"


def test_the_console_page_is_inside_of_its_application() -> None:
    app = carboy.Flask("scenario")
    app.shell_context_processor(lambda: {"answer": 42})
    wrapped = debugged(app=app, pin_security=False)
    client = browser(wrapped)
    client.get("/console", base_url=HOST)
    for code in ("answer", "__import__('carboy').current_app and answer"):
        assert "42" in asked(client, s=wrapped.secret, frm=0, cmd=code).text


def test_code_can_be_stopped_only_with_secret_pin_and_host() -> None:
    app = debugged()
    client = browser(app)
    client.get("/", base_url=HOST)
    query = {"frm": frame_of(app), "stop": "yes"}
    assert "stopped" not in asked(client, s=app.secret, **query).text  # no PIN
    pin = asked(client, cmd="pinauth", pin="123456", s=app.secret)
    assert "stopped" not in asked(client, s="wrong", **query).text
    assert not asked(client, s=app.secret, **query).json["stopped"]
    query |= {"s": app.secret, "__debugger__": "yes"}
    cookie = pin.headers["Set-Cookie"].split(";")[0]
    foreign = Client(app, use_cookies=False).get(
        "/", base_url="http://evil.example", query_string=query, headers={"Cookie": cookie}
    )
    assert foreign.status_code == 400


def test_stops_do_not_reach_what_follows_the_code() -> None:
    """If code ends while it is being stopped, the exception is withdrawn."""
    console = carboy.dev.debugger.Console()
    ends = threading.Event()

    def stops() -> None:
        while not ends.is_set():
            console.stop()

    stopper = threading.Thread(target=stops, daemon=True)
    stopper.start()
    try:
        for _ in range(300):
            console.eval("sum(range(100))")
            total = sum(number for number in range(100))
            assert total == 4950
    finally:
        ends.set()
        stopper.join(PATIENCE)


def test_old_frames_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carboy.dev.debugger, "FRAMES", 3)
    app = debugged()
    for _ in range(5):
        browser(app).get("/")
    assert len(app.frames) == len(app.frame_contexts) == 3


def test_two_wrappers_have_two_secrets() -> None:
    assert DebuggedApplication(failing).secret != DebuggedApplication(failing).secret
