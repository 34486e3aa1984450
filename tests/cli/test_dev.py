"""`carboy dev` as a whole, with real processes and files that are saved."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from carboy.cli.dev import port
from carboy.cli.dev import portable as portable_dev
from carboy.cli.dev.file_changes import OFTEN, FileChangeHandler
from carboy.dev.reload.rules import Change, Kind
from carboy.server.bind import BindError
from certificates import unchecked
from http2_client import Http2Client
from running import PATIENCE, Running, alive, await_gone

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
APP = """
import os
import time
import carboy
app = carboy.Flask(__name__)

@app.get("/")
def index():
    return f"debug {app.debug}"

@app.get("/pid")
def pid():
    return str(os.getpid())

@app.get("/env")
def env():
    return os.environ.get("COLOUR", "none")

@app.get("/waits")
def waits():
    time.sleep(0.02)
    return "waits"

@app.get("/page")
def page():
    return carboy.render_template("page.html")

@app.get("/fails")
def fails():
    raise LookupError("on purpose")

@app.get("/leaves")
def leaves():
    os._exit(7)

app.run()  # does nothing here
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def developing(folder: Path, *options: str, **more: Any) -> Running:
    return Running("dev", "app", "-p", "0", *options, cwd=folder, **more)


def save(path: Path, text: str) -> None:
    """Save as editors do: a new file replaces the old one."""
    fresh = path.with_name(path.name + "~")
    fresh.write_text(text)
    fresh.replace(path)


def until(happens: Callable[[], Any]) -> Any:
    """Poll for a state that no output shows."""
    for _ in range(int(PATIENCE * 50)):
        if found := happens():
            return found
        time.sleep(0.02)
    raise AssertionError(f"never: {happens}")


@contextmanager
def events(server: Running) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Read the event stream of the live page: called with a name, returns its next event."""
    connection = server.connect()
    connection.request("GET", "/__carboy__/live")
    response = connection.getresponse()
    assert response.status == 200

    def following(name: str) -> dict[str, Any]:
        while line := response.readline().decode():
            if line.strip() == f"event: {name}":
                found: dict[str, Any] = json.loads(response.readline()[len("data: ") :])
                return found
        raise AssertionError(f"the stream has ended before {name}")

    with closing(connection), closing(response):
        yield following


@contextmanager
def entered(server: Running) -> Iterator[Callable[..., str]]:
    """Read the list of requests: called with a path below it, returns the page, or ""."""
    pin = server.line("debugger PIN ").partition("debugger PIN ")[2].strip()
    with closing(server.connect()) as connection:
        connection.request("POST", "/__carboy__/", f"pin={pin}")
        response = connection.getresponse()
        assert response.status == 303
        cookie = response.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        response.read()

        def ask(path: str, form: str | None = None) -> str:
            headers = {"Cookie": cookie.partition(";")[0], **FORM}
            method = "GET" if form is None else "POST"
            connection.request(method, f"/__carboy__/{path}", form, headers)
            response = connection.getresponse()
            page = response.read().decode()
            return page if response.status == 200 else ""

        yield ask


def test_it_serves_in_debug_mode_with_the_debugger(folder: Path) -> None:
    with Running("dev", "-p", "0", cwd=folder) as server:
        assert server.get() == (200, b"debug True")
        status, page = server.get("/fails")
        assert status == 500
        assert b"LookupError: on purpose" in page
        assert b"EVALEX = true" in page
        pin = server.line("debugger PIN ").partition("debugger PIN ")[2].strip()
        assert pin.replace("-", "").isdecimal()


def test_the_pin_changes_with_each_start_and_not_with_a_reload(folder: Path) -> None:
    pins = []
    (folder / "app.py").write_text(APP + "PIN = os.environ['WERKZEUG_DEBUG_PIN']\n")
    code = APP + "@app.get('/pin')\ndef pin():\n    return os.environ['WERKZEUG_DEBUG_PIN']\n"
    for _ in range(2):
        with developing(folder) as server:
            server.address()
            save(folder / "app.py", code)
            server.line("reloaded in")
            pin = server.get("/pin")[1].decode()
            assert f"debugger PIN {pin}" in server.text()
            pins.append(pin)
            save(folder / "app.py", APP)
    assert len(set(pins)) == 2


def test_each_tool_can_be_turned_off(folder: Path) -> None:
    options = ("--no-reload", "--no-debugger", "--no-live", "--no-requests")
    with developing(folder, *options) as server:
        assert server.get() == (200, b"debug True")
        assert b"EVALEX" not in server.get("/fails")[1]
        assert server.get("/__carboy__/live")[0] == 404
        assert server.get("/__carboy__/")[0] == 404
        assert server.stop() == 0
        assert "PIN" not in server.text()


@pytest.mark.parametrize("options", [(), ("--no-warm", "--no-reload")], ids=["warm", "portable"])
def test_tls_works_with_a_generated_certificate(folder: Path, options: tuple[str, ...]) -> None:
    context = unchecked()
    with developing(folder, "--cert", "adhoc", *options) as server:
        line = server.line("https://127.0.0.1:")
        port = int(line.rpartition(":")[2].strip().rstrip("/"))
        connection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=PATIENCE, context=context
        )
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"debug True"
        connection.close()


def test_without_cryptography_a_generated_certificate_is_an_error_of_one_line(
    folder: Path,
) -> None:
    (folder / "broken" / "cryptography").mkdir(parents=True)
    (folder / "broken" / "cryptography" / "__init__.py").write_text("raise ImportError")
    with developing(folder, "--cert", "adhoc", env={"PYTHONPATH": "broken"}) as server:
        assert server.wait() == 2
    assert len(server.err) == 1
    assert "Install it with `pip install cryptography`" in server.err[0]
    assert server.out == []


@pytest.mark.parametrize("options", [(), ("--no-warm",)], ids=["warm", "portable"])
def test_a_project_folder_that_is_deleted_and_made_again_is_served(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    with developing(folder, *options) as server:
        assert server.get() == (200, b"debug True")
        shutil.rmtree(folder)
        server.line("does not exist")
        if not options:
            assert f"The folder {folder} does not exist.".encode() in server.get()[1]
        for version in ("again", "once more"):
            folder.mkdir(exist_ok=True)
            save(folder / "app.py", APP.replace("debug {app.debug}", version))
            until(lambda version=version: server.get()[1] == version.encode())
        assert "Traceback" not in server.text()
        assert server.text().count("does not exist") == 1


class Recorded:
    """The terminal and the supervisor of a FileChangeHandler."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def replace(self, why: Sequence[str], forget: bool = False) -> None: ...

    def repeated(self, path: str, count: int) -> None:
        self.told.append(path)


def test_a_file_that_causes_reload_after_reload_is_named_once(folder: Path) -> None:
    """As one that the application writes with each request."""
    handler: Any = FileChangeHandler((), (), None, live=False)
    handler.terminal = handler.supervisor = recorded = Recorded()
    written, saved = str(folder / "data.py"), str(folder / "app.py")
    for number in range(20):
        both = (written, saved) if number < OFTEN - 1 else (written,)
        handler.on_change(Change(Kind.CODE, both))
    assert recorded.told == [written]


def test_a_local_authority_is_created_once(folder: Path, tmp_path: Path) -> None:
    env = {"CARBOY_AUTHORITY": str(tmp_path / "kept")}
    certificate = tmp_path / "kept" / "authority.pem"
    for told in ("To trust it in browsers, run:", "certificate signed by "):
        with developing(folder, "--tls", env=env) as server:
            port = int(server.line("https://127.0.0.1:").rpartition(":")[2].strip().rstrip("/"))
            server.line(told)
            context = ssl.create_default_context(cafile=str(certificate))
            connection = http.client.HTTPSConnection(
                "localhost", port, timeout=PATIENCE, context=context
            )
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"debug True"
            connection.close()


@pytest.mark.parametrize("options", [(), ("--no-warm",)], ids=["warm", "portable"])
def test_browsers_use_http_2_over_tls(
    folder: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    env = {"CARBOY_AUTHORITY": str(tmp_path / "kept")}
    with developing(folder, "--tls", *options, env=env) as server:
        port = int(server.line("https://127.0.0.1:").rpartition(":")[2].strip().rstrip("/"))
        context = ssl.create_default_context(cafile=str(tmp_path / "kept" / "authority.pem"))
        context.set_alpn_protocols(["h2", "http/1.1"])
        with (
            socket.create_connection(("127.0.0.1", port), PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as sock,
        ):
            assert sock.selected_alpn_protocol() == "h2"
            assert Http2Client(sock).get(scheme="https").body == b"debug True"


def test_a_name_without_an_application_ends_the_command(folder: Path) -> None:
    with Running("dev", "app:application", "-p", "0", cwd=folder) as server:
        assert server.wait() == 1
        assert "has no attribute 'application'" in server.text()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import nothing_like_it", "nothing_like_it"),
        ("app = (", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit"),
    ],
)
def test_an_application_that_does_not_load_is_a_page_until_it_is_fixed(
    folder: Path, text: str, told: str
) -> None:
    (folder / "app.py").write_text(text)
    with developing(folder) as server:
        status, page = server.get()
        assert status == 500
        assert told in page.decode()
        assert told in server.text()
        save(folder / "app.py", APP)
        server.line("reloaded in")
        assert server.get() == (200, b"debug True")


def test_a_saved_file_is_served_and_its_error_is_shown_as_a_page(folder: Path) -> None:
    with developing(folder) as server:
        assert server.get() == (200, b"debug True")
        save(folder / "app.py", APP.replace("debug {", "new {"))
        server.line("app.py  reloaded in")
        assert server.get() == (200, b"new True")
        save(folder / "app.py", APP + "\nraise LookupError('while it loads')\n")
        server.line("app.py  LookupError: while it loads. Save a file to try again")
        status, page = server.get()
        assert status == 500
        assert b"LookupError: while it loads" in page
        assert b"importlib" not in page  # only the application's own frames
        assert b"tools.py" not in page
        save(folder / "app.py", APP)
        server.line("reloaded in", 2)
        assert server.get() == (200, b"debug True")
        assert server.text().count("Traceback") == 1  # not again for each request


def test_the_terminal_shows_the_frames_of_the_users_own_code(folder: Path) -> None:
    with developing(folder) as server:
        assert server.get("/fails")[0] == 500
        server.line("LookupError: on purpose")
        assert server.text().count("  File ") == 1


def test_two_saves_of_the_same_length_in_one_second_are_both_loaded(folder: Path) -> None:
    """Byte code is matched to its source by time in seconds and by size."""
    (folder / "word.py").write_text("WORD = 'aaa'\n")
    (folder / "app.py").write_text(
        "import word\ndef app(environ, start_response):\n"
        "    start_response('200 OK', [])\n    return [word.WORD.encode()]\n"
    )
    with developing(folder) as server:
        assert server.get() == (200, b"aaa")
        for count, text in enumerate(("bbb", "ccc", "ddd"), 1):
            save(folder / "word.py", f"WORD = {text!r}\n")
            os.utime(folder / "word.py", (1_700_000_000, 1_700_000_000))
            server.line("reloaded in", count)
            until(lambda text=text: server.get() == (200, text.encode()))


def test_a_request_during_a_reload_waits_for_the_new_code(folder: Path) -> None:
    with developing(folder) as server:
        old = server.get("/pid")
        gate = folder / "gate"
        os.mkfifo(gate)
        save(folder / "app.py", f"open({str(gate)!r}).read()\n" + APP.replace("debug {", "new {"))
        with gate.open("w"):  # returns when the new code opens it
            await_gone(int(old[1]))
            connection = server.connect()
            connection.request("GET", "/")
        assert connection.getresponse().read() == b"new True"
        connection.close()


def test_a_running_request_is_finished_by_the_old_code(folder: Path) -> None:
    gate = folder / "gate"
    os.mkfifo(gate)
    slow = f"@app.get('/slow')\ndef slow():\n    open({str(gate)!r}).read()\n    return 'old'\n"
    (folder / "app.py").write_text(APP + slow)
    with developing(folder) as server:
        connection = server.connect()
        connection.request("GET", "/slow")
        with gate.open("w"):
            save(folder / "app.py", APP + slow.replace("'old'", "'new'"))
            server.line("reloaded in")
        assert connection.getresponse().read() == b"old"
        connection.close()


def test_variables_of_a_dotenv_file_are_read_again(folder: Path) -> None:
    (folder / ".env").write_text("COLOUR=red\n")
    with developing(folder) as server:
        assert server.get("/env")[1] == b"red"
        save(folder / ".env", "COLOUR=blue\n")
        server.line(".env  reloaded in")
        assert server.get("/env")[1] == b"blue"
        save(folder / ".env", "")
        server.line(".env  reloaded in", 2)
        assert server.get("/env")[1] == b"none"


def test_templates_and_styles_change_without_a_new_process(folder: Path) -> None:
    (folder / "templates").mkdir()
    (folder / "static").mkdir()
    (folder / "templates" / "page.html").write_text("first")
    (folder / "static" / "look.css").write_text("a {}")
    with developing(folder) as server:
        assert server.get("/page")[1] == b"first"
        pid = server.get("/pid")
        with events(server) as following:
            following("hello")
            save(folder / "templates" / "page.html", "second")
            assert following("page")["paths"] == [str(folder / "templates" / "page.html")]
            assert server.get("/page")[1] == b"second"
            save(folder / "static" / "look.css", "b {}")
            assert following("style")["paths"] == [str(folder / "static" / "look.css")]
        assert server.get("/pid") == pid


def test_browsers_are_told_about_new_code_and_its_errors(folder: Path) -> None:
    with developing(folder) as server:
        with events(server) as following:
            first = following("hello")
            assert first["failure"] is None
            save(folder / "app.py", "app = (")
            with pytest.raises(AssertionError):
                following("never")  # the stream ends when its process ends
        server.line("Save a file to try again")
        with events(server) as following:
            second = following("hello")
            assert second["generation"] != first["generation"]
            assert second["failure"]["title"].startswith("SyntaxError")
            assert "app.py" in second["failure"]["text"]


def test_a_process_that_ends_is_reported_and_replaced(folder: Path) -> None:
    with developing(folder) as server:
        pid = server.get("/pid")[1]
        until(lambda: alive(int(pid)) and server.get()[0] == 200)
        with pytest.raises((http.client.HTTPException, OSError)):
            server.get("/leaves")
        server.line("exited with code 7")
        assert server.get("/pid")[1] != pid


def test_a_process_that_ends_while_loading_is_shown_as_a_page(folder: Path) -> None:
    (folder / "app.py").write_text("import os\nos._exit(9)\n")
    with developing(folder) as server:
        status, page = server.get()
        assert status == 500
        assert b"exited with code 9" in page
        save(folder / "app.py", APP)
        server.line("reloaded in")
        assert server.get() == (200, b"debug True")


PACKAGE = """
with open({log!r}, "a") as log:
    log.write("imported\\n")
{more}
VALUE = {value!r}
"""
USES_PACKAGE = """
import slow_package
def app(environ, start_response):
    start_response("200 OK", [])
    return [f"{slow_package.VALUE} WORD".encode()]
"""


class Package:
    """A package that looks installed and counts its imports."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.log = folder / "log"
        self.place = folder / "lib" / "site-packages"
        self.more = more
        self.place.mkdir(parents=True)
        self.install("one")
        (folder / "app.py").write_text(USES_PACKAGE)

    def install(self, value: str) -> None:
        text = PACKAGE.format(log=str(self.log), more=self.more, value=value)
        save(self.place / "slow_package.py", text)

    def imports(self) -> int:
        return len(self.log.read_text().splitlines())


def test_installed_packages_stay_imported(tmp_path: Path) -> None:
    package = Package(tmp_path)
    with developing(tmp_path, env={"PYTHONPATH": str(package.place)}) as server:
        assert server.get() == (200, b"one WORD")
        until(lambda: package.imports() == 2)  # by the first worker and by the template
        for count in range(1, 30):
            before = package.imports()
            save(tmp_path / "app.py", USES_PACKAGE.replace("WORD", f"word {count}"))
            server.line("reloaded in", count)
            assert server.get() == (200, f"one word {count}".encode()), server.text()
            if package.imports() == before:
                break
        else:
            raise AssertionError("each reload has imported the package again")
        package.install("another")
        save(tmp_path / "app.py", USES_PACKAGE)
        server.line("reloaded in", count + 1)
        until(lambda: server.get() == (200, b"another WORD"))


def test_a_package_that_starts_threads_is_imported_by_each_worker(tmp_path: Path) -> None:
    more = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()"
    package = Package(tmp_path, more)
    with developing(tmp_path, env={"PYTHONPATH": str(package.place)}) as server:
        assert server.get() == (200, b"one WORD")
        until(lambda: package.imports() == 2)
        for count in range(1, 3):
            save(tmp_path / "app.py", USES_PACKAGE.replace("WORD", f"word {count}"))
            server.line("reloaded in", count)
            assert server.get() == (200, f"one word {count}".encode()), server.text()


@pytest.fixture
def portable(folder: Path) -> Iterator[Running]:
    """`carboy dev` without fork, which restarts its child process."""
    (folder / ".env").write_text("COLOUR=red\n")
    (folder / "templates").mkdir()
    (folder / "templates" / "page.html").write_text("first")
    with developing(folder, "--no-warm") as server:
        assert server.get() == (200, b"debug True")
        yield server


def test_without_warm_imports_the_output_is_the_same(portable: Running, folder: Path) -> None:
    portable.line("is serving app in development")
    portable.line("debugger PIN")
    portable.line("Ready in")
    save(folder / "app.py", APP.replace("debug {", "new {"))
    portable.line("app.py  has changed")
    portable.line("all files  reloaded in")
    assert portable.get() == (200, b"new True")
    portable.line("GET     /", 2)
    assert portable.stop() == 0
    assert "Stopped." in portable.text()
    assert " * " not in portable.text()


def test_without_warm_imports_changed_variables_and_templates_are_used(
    portable: Running, folder: Path
) -> None:
    assert portable.get("/env")[1] == b"red"
    save(folder / ".env", "COLOUR=blue\n")
    portable.line(".env  has changed")
    assert until(lambda: portable.get("/env")[1] == b"blue")
    portable.line("reloaded in")
    pid = portable.get("/pid")
    with events(portable) as following:
        following("hello")
        save(folder / "templates" / "page.html", "second")
        assert following("page")["paths"] == [str(folder / "templates" / "page.html")]
        assert portable.get("/page")[1] == b"second"
    assert portable.get("/pid") == pid


def test_without_warm_imports_the_files_in_use_are_known_before_a_page_is_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A template that was saved before that would load the application again."""
    order: list[str] = []
    monkeypatch.setattr(portable_dev, "exit_for_another", lambda: None)
    served = threading.Event()

    def serve_forever() -> None:
        order.append("serves")
        served.set()

    server: Any = SimpleNamespace(serve_forever=serve_forever, shutdown=lambda: None)
    again: Any = SimpleNamespace(
        wait=lambda report: served.wait(PATIENCE), broadcaster=SimpleNamespace(close=lambda: None)
    )
    child = portable_dev.Child("app", *([None] * 4))  # type: ignore[arg-type]
    child._follow(server, again, lambda: order.append("report"), lambda: None)
    assert order == ["report", "serves"]


def test_without_warm_imports_threads_and_a_missing_file_do_not_end_it(folder: Path) -> None:
    thread = "\nimport threading\nthreading.Thread(target=threading.Event().wait).start()\n"
    save(folder / "app.py", APP.replace("debug {app.debug}", "threaded") + thread)
    with Running("dev", "-p", "0", "--no-warm", cwd=folder) as server:
        assert server.get() == (200, b"threaded")
        (folder / "app.py").unlink()
        (folder / "app.py").mkdir()
        server.line("There is no file app.py")
        (folder / "app.py").rmdir()
        save(folder / "app.py", APP)
        until(lambda: server.get() == (200, b"debug True"))


def test_without_warm_imports_an_error_is_a_page_and_requests_are_kept(
    portable: Running, folder: Path
) -> None:
    save(folder / "app.py", "app = (")
    portable.line("Save a file to try again")
    assert portable.get()[0] == 500
    save(folder / "app.py", APP)
    portable.line("reloaded in")
    with entered(portable) as ask:
        assert [each["status"][:3] for each in json.loads(ask("requests.json"))] == ["500", "200"]


def test_without_warm_imports_a_name_without_an_application_ends_the_command(folder: Path) -> None:
    with Running("dev", "app:application", "-p", "0", "--no-warm", cwd=folder) as server:
        assert server.wait() == 1
        assert server.text().count("has no attribute 'application'") == 1
        assert "Stopped" not in server.text()


def test_without_warm_imports_no_process_or_file_is_left_behind(portable: Running) -> None:
    pid = int(portable.get("/pid")[1])
    os.kill(portable.pid, signal.SIGKILL)
    await_gone(pid)


# Sends SIGINT to all processes, as Ctrl+C does, when a module is imported.
INTERRUPTS = """
import os, signal, sys, weakref

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == os.environ["AT"] and os.environ.get("WERKZEUG_RUN_MAIN", "") == os.environ["IN"]:
            if "CALLBACK" not in os.environ:
                os.killpg(0, signal.SIGINT)
            thing = Finder()
            kept = weakref.ref(thing, lambda ref: os.killpg(0, signal.SIGINT))
            del thing

sys.meta_path.insert(0, Finder)
"""


def test_ctrl_c_is_not_lost_in_a_callback_of_the_import_system(folder: Path) -> None:
    """Python prints a KeyboardInterrupt that is raised there, and continues."""
    (folder / "first").mkdir()
    (folder / "first" / "sitecustomize.py").write_text(INTERRUPTS)
    env = {"PYTHONPATH": "first", "AT": "carboy.cli.dev.terminal", "IN": "", "CALLBACK": "yes"}
    with developing(folder, env=env) as server:
        server.wait()
    assert "".join(server.out + server.err) == ""


@pytest.mark.parametrize("process", ["", "true"], ids=["parent", "child"])
@pytest.mark.parametrize(
    "module", ["click", "carboy.server.engine", "carboy.cli.dev.command", "carboy.cli.dev.terminal"]
)
def test_ctrl_c_during_the_start_is_quiet(folder: Path, module: str, process: str) -> None:
    (folder / "first").mkdir()
    (folder / "first" / "sitecustomize.py").write_text(INTERRUPTS)
    env = {"PYTHONPATH": "first", "AT": module, "IN": process}
    options = ("--no-warm",) if process else ()
    with developing(folder, *options, env=env) as server:
        server.wait()
    assert "".join(server.out + server.err).strip() in ("", "Stopped.")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_all_processes_end_when_it_stops(folder: Path, number: signal.Signals) -> None:
    with developing(folder) as server:
        pid = int(server.get("/pid")[1])
        with events(server) as following:
            following("hello")  # a connected browser does not delay the end
            server.send(number)
            assert server.wait() == 0
        assert not alive(pid)
        assert "Stopped." in server.text()


def test_no_process_is_left_behind_when_it_is_killed(folder: Path) -> None:
    with developing(folder) as server:
        pid = int(server.get("/pid")[1])
        os.kill(server.pid, signal.SIGKILL)
        await_gone(pid)


def test_sighup_loads_everything_again(folder: Path) -> None:
    with developing(folder) as server:
        pid = server.get("/pid")
        server.send(signal.SIGHUP)
        server.line("all files  reloaded in")
        assert server.get("/pid") != pid


def test_requests_of_the_tools_are_not_in_the_access_log(folder: Path) -> None:
    with developing(folder) as server:
        server.get("/__carboy__/live.js")
        server.get("/pid")
        assert "GET     /pid" in server.line("/pid")
        assert "live.js" not in server.text()


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock.getsockname()[1]


def test_a_chosen_port_that_is_in_use_is_an_error(folder: Path, taken: int) -> None:
    with Running("dev", "-p", str(taken), cwd=folder) as server:
        assert server.wait() == 1
        assert f"Port {taken} is in use" in server.text()
        with pytest.raises(BindError):
            port.listen("127.0.0.1", taken, insisted=True)


def test_another_port_is_used_if_none_was_chosen(
    taken: int, capsys: pytest.CaptureFixture[str]
) -> None:
    address, sockets = port.listen("127.0.0.1", taken, insisted=False)
    with sockets[0]:
        assert address.port is not None
        assert taken < address.port <= taken + port.FURTHER
        assert f"Port {address.port} is used instead" in capsys.readouterr().err


def test_with_lan_the_address_in_the_network_is_shown(folder: Path) -> None:
    with developing(folder, "--lan") as server:
        port = server.address()[1]
        assert server.get() == (200, b"debug True")
        with socket.create_connection((socket.gethostbyname(socket.gethostname()), port)):
            pass  # even on an address that is not loopback


@pytest.mark.parametrize("before", [("--debug",), ()], ids=["before", "behind"])
def test_carboy_run_is_in_debug_mode_on_this_machine_only(
    folder: Path, before: tuple[str, ...]
) -> None:
    behind = () if before else ("--debug",)
    with Running(*before, "run", *behind, "app", "-h", "0.0.0.0", "-p", "0", cwd=folder) as server:
        assert server.wait() == 2
        assert "Debug mode is for this machine only" in server.text()
    with Running(*before, "run", *behind, "app", "-p", "0", cwd=folder) as server:
        assert server.get() == (200, b"debug True")
        assert b"EVALEX" not in server.get("/fails")[1]


@pytest.mark.parametrize("switched", ["at the start", "in the page"])
def test_calls_are_shown_from_accept_to_the_last_send(folder: Path, switched: str) -> None:
    options = ("--calls",) if switched == "at the start" else ()
    with developing(folder, *options) as server, entered(server) as ask:
        server.get("/waits")  # a slow view does not run on the thread that reads
        until(lambda: json.loads(ask("requests.json")))  # recorded after the response is sent
        if not options:
            ask("calls", "record=yes")
        ask("clear", "")
        with closing(server.connect()) as connection:
            for view in ("waits", "waits", "waits", "env", "env"):
                connection.request("GET", f"/{view}?secret_key=hunter2")
                assert connection.getresponse().read()
        # Both are recorded after the response has been sent.
        listed = until(lambda: len(found := json.loads(ask("requests.json"))) == 5 and found)
        for each in listed:
            found = calls_of(ask, each["number"])
            titles = [step["title"] for step in found["steps"]]
            if each is listed[-1]:
                assert titles.pop(0) == "The connection is accepted"
            assert titles[0] == "Bytes are read from the socket"
            assert titles[1] == "The bytes are parsed as a request head"
            assert titles[-1].startswith("The bytes are sent")
            assert f"The view {each['endpoint']!r} runs" in titles
            assert "hunter2" not in json.dumps(found)


def calls_of(ask: Callable[..., str], number: int) -> Any:
    page = until(lambda: ask(f"{number}/calls"))
    data = re.search('type="application/json">(.*?)</script>', page)
    assert data
    return json.loads(data[1])


def test_the_last_requests_survive_a_reload_and_require_the_pin(folder: Path) -> None:
    with developing(folder) as server:
        server.get("/env?token=hunter2")
        save(folder / "app.py", APP)
        server.line("reloaded in")
        assert server.get("/__carboy__/")[0] == 401
        with entered(server) as ask:
            [found] = json.loads(ask("requests.json"))
        assert (found["method"], found["endpoint"], found["status"]) == ("GET", "env", "200 OK")
        assert "hunter2" not in found["target"]


@pytest.mark.parametrize("options", [(), ("--no-warm",)], ids=["warm", "portable"])
def test_a_file_that_is_not_a_certificate_is_a_usage_error(
    folder: Path, options: tuple[str, ...]
) -> None:
    (folder / "c.pem").write_text("not a certificate\n")
    done = subprocess.run(
        [sys.executable, "-m", "carboy", "dev", "app", "--cert=c.pem", "--key=c.pem", *options],
        cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"--cert: {folder}/c.pem does not contain a certificate in PEM format" in done.stderr
    assert "Traceback" not in done.stderr
