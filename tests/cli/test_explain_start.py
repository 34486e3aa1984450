"""`carboy explain --from-start` with each server, as real processes on real sockets."""

from __future__ import annotations

import importlib.util
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from running import PATIENCE, Running, await_gone, free_port

THEIRS = """
from flask import Flask, request

app = Flask(__name__)

@app.get("/hello/<name>")
def hello(name):
    return f"Hello {name}, this is {request.headers['User-Agent']}"

@app.get("/fail")
def fail():
    return 1 / 0

app.run(port=1)  # does nothing while a command loads the application

def make():
    return app
"""
PLAIN = """
import sys

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

def hangs(environ, start_response):
    import os, threading
    with open("pid.tmp", "w") as file:
        file.write(str(os.getpid()))
    os.rename("pid.tmp", "pid")
    threading.Event().wait()

def fails(environ, start_response):
    start_response("200 OK", [])
    yield b"one"
    raise ValueError("midway")

def keeps(environ, start_response):
    import threading, time
    threading.Thread(target=time.sleep, args=(600,)).start()
    return app(environ, start_response)

def ends(environ, start_response):
    import os
    print("last words", flush=True)
    os._exit(3)
"""
# The calls that must be there, in this order, with the function that makes each of them.
WERKZEUG = [
    ("Flask.run", "start_werkzeug"),
    ("run_simple", "Flask.run"),
    ("make_server", "run_simple"),
    ("BaseWSGIServer.__init__", "make_server"),
    ("TCPServer.__init__", "BaseWSGIServer.__init__"),
    ("socket.__init__", "TCPServer.__init__"),
    ("HTTPServer.server_bind", "BaseWSGIServer.__init__"),
    ("TCPServer.server_bind", "HTTPServer.server_bind"),
    ("socket.bind", "TCPServer.server_bind"),
    ("TCPServer.server_activate", "BaseWSGIServer.__init__"),
    ("socket.listen", "TCPServer.server_activate"),
    ("BaseWSGIServer.serve_forever", "run_simple"),
    ("BaseServer.serve_forever", "BaseWSGIServer.serve_forever"),
    ("socket.accept", "TCPServer.get_request"),
    ("socket._accept", "socket.accept"),
    ("WSGIRequestHandler.handle", "BaseRequestHandler.__init__"),
    ("socket.recv_into", "SocketIO.readinto"),
    ("BaseHTTPRequestHandler.parse_request", "BaseHTTPRequestHandler.handle_one_request"),
    ("parse_headers", "BaseHTTPRequestHandler.parse_request"),
    ("WSGIRequestHandler.make_environ", "WSGIRequestHandler.run_wsgi"),
    ("Flask.__call__", "WSGIRequestHandler.run_wsgi.<locals>.execute"),
    ("Flask.wsgi_app", "Flask.__call__"),
    ("MapAdapter.match", "RequestContext.match_request"),
    ("Flask.full_dispatch_request", "Flask.wsgi_app"),
    ("Flask.dispatch_request", "Flask.full_dispatch_request"),
    ("hello", "Flask.dispatch_request"),
    ("EnvironHeaders.__getitem__", "hello"),
    ("Flask.make_response", "Flask.finalize_request"),
    ("Response.__call__", "Flask.wsgi_app"),
    ("socket.sendall", "_SocketWriter.write"),
    ("socket.close", "socket._real_close"),
    ("TCPServer.server_close", "ThreadingMixIn.server_close"),
    ("socket.close", "socket._real_close"),
]
CHAINS = {
    "flask": [
        "main", "Command.main", "run_command", "ScriptInfo.load_app", "run_simple", "make_server",
        "BaseWSGIServer.__init__", "socket.bind", "socket.listen", "BaseServer.serve_forever",
        "socket._accept", "parse_headers", "Flask.__call__", "hello", "socket.sendall",
    ],
    "carboy": [
        "main", "Command.main", "run", "start", "listen_tcp", "socket.bind", "socket.listen",
        "Engine.run", "socket._accept", "socket.recv", "Machine.receive",
        "ServerExchange.environ", "Flask.__call__", "hello", "socket.send", "socket.close",
        "Engine.stop", "socket.close",
    ],
    "wsgiref": [
        "make_server", "TCPServer.__init__", "socket.__init__", "WSGIServer.server_bind",
        "socket.bind", "socket.listen", "BaseServer.serve_forever", "socket._accept",
        "WSGIRequestHandler.handle", "socket.recv_into", "parse_headers",
        "WSGIRequestHandler.get_environ", "BaseHandler.run", "Flask.__call__", "hello",
        "BaseHandler.finish_response", "socket.sendall", "socket.close",
        "TCPServer.server_close", "socket.close",
    ],
    "gunicorn": [
        "run", "Arbiter.__init__", "Arbiter.run", "create_sockets", "socket.__init__",
        "socket.bind", "socket.listen", "fork", "Worker.init_process", "SyncWorker.run",
        "socket._accept", "socket.recv", "Request.parse_request_line", "Message.parse_headers",
        "create", "Flask.__call__", "hello", "socket.sendall", "socket.close", "Arbiter.stop",
        "socket.close",
    ],
    "waitress": [
        "serve", "create_server", "socket.__init__", "socket.bind", "socket.listen", "loop",
        "socket._accept", "socket.recv", "HTTPRequestParser.parse_header", "WSGITask.execute",
        "Flask.__call__", "hello", "socket.send", "socket.close",
        "ThreadedTaskDispatcher.shutdown",
    ],
}  # fmt: skip
TO_HELLO = ("GET", "/hello/bob", "-H", "User-Agent: me")
STEP = re.compile(
    r"^ +(\d+)\. (.+)\n      (\S+)(?: \(.*?\))?  (.+)(?:\n      called by (.+), (\S.*):(\d+))?",
    re.MULTILINE,
)


@dataclass
class Step:
    number: int
    title: str
    name: str
    where: str
    caller: str
    file: str
    line: int


shared = pytest.mark.xdist_group("recordings")  # tests that share the recordings of a process


class Recordings:
    """Recordings of one request for each server, made when a test needs them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "theirs.py").write_text(THEIRS)
        self._texts: dict[str, str] = {}

    def file(self, server: str) -> str:
        """The file of a recording."""
        name = f"{server}.json"
        if not (self.folder / name).exists():
            if importlib.util.find_spec(server) is None:
                pytest.skip(f"{server} is not installed")
            args = ("theirs:make()", *TO_HELLO, "-H", "Cookie: a=hunter2", f"--server={server}")
            said = explain(self.folder, *args, "--save", name)
            assert said == f"Wrote {name}.\n"
        return name

    def text(self, server: str) -> str:
        """The text that is shown of it."""
        if server not in self._texts:
            self._texts[server] = self.show("--recording", self.file(server))
        return self._texts[server]

    def show(self, *args: str, code: int = 0) -> str:
        """The output of `carboy explain`."""
        return explain(self.folder, *args, code=code, how=())


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Recordings:
    return Recordings(tmp_path_factory.mktemp("recordings"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "theirs.py").write_text(THEIRS)
    (tmp_path / "plain.py").write_text(PLAIN)
    return tmp_path


def explain(
    folder: Path, *args: str, code: int = 0, how: tuple[str, ...] = ("--from-start",)
) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "carboy", "explain", *args, *how],
        cwd=folder, env={"PATH": "", "HOME": str(folder)}, capture_output=True, text=True,
        timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def steps_of(text: str) -> list[Step]:
    found = [
        Step(int(number), title, name, where, caller, file, int(line or 0))
        for number, title, name, where, caller, file, line in STEP.findall(text)
    ]
    assert [step.number for step in found] == list(range(1, len(found) + 1)), text
    return found


def assert_in_order(steps: list[Step], wanted: list[tuple[str, str]]) -> None:
    rest = iter(steps)
    for name, caller in wanted:
        assert any(step.name == name and (not caller or step.caller == caller) for step in rest), (
            f"{name} is missing or too early"
        )


@shared
def test_the_chain_of_flask_on_its_own_server_is_complete(recordings: Recordings) -> None:
    text = recordings.text("werkzeug")
    assert text.startswith("GET /hello/bob → 200 OK, 21 bytes; werkzeug 3.1.")
    steps = steps_of(text)
    assert_in_order(steps, WERKZEUG)
    (read,) = [step for step in steps if step.name == "EnvironHeaders.__getitem__"]
    assert read.title == "Your hello reads request.headers['User-Agent']"
    assert read.file == "theirs.py"
    assert "request.headers['User-Agent']" in THEIRS.splitlines()[read.line - 1]


@shared
def test_each_step_has_its_lines_and_the_line_of_its_caller(recordings: Recordings) -> None:
    steps = steps_of(recordings.text("werkzeug"))
    for step in steps:
        assert re.fullmatch(r"\S+\.py:\d+(-\d+)?|in C, so its source cannot be shown", step.where)
        assert step.caller and step.file and step.line, step
    # The line of the caller is inside of the caller's own lines, where both are shown.
    shown = {step.name: step.where for step in steps}
    checked = 0
    for step in steps:
        file, _, lines = shown.get(step.caller, "").partition(":")
        if lines and file == step.file:
            first, last = lines.split("-")
            assert int(first) <= step.line <= int(last), step
            checked += 1
    assert checked > 20


@shared
@pytest.mark.parametrize("server", list(CHAINS))
def test_the_chain_of_each_server_is_complete(recordings: Recordings, server: str) -> None:
    text = recordings.text(server)
    assert "→ 200 OK, 21 bytes" in text
    assert_in_order(steps_of(text), [(name, "") for name in CHAINS[server]])
    assert "The view 'hello' runs" in text
    assert "\nStart-up\n" in text and "\nThe request\n" in text and "\nThe stop\n" in text
    assert re.search(r"Calls that were not recorded: [\d,]+ in imports", text)


@shared
@pytest.mark.parametrize("server", list(CHAINS))
def test_the_titles_of_the_applications_calls_are_what_its_author_wrote(
    recordings: Recordings, server: str
) -> None:
    text = recordings.text(server)
    own = re.findall(r"^ +\d+\. (Your .+?)(?:  \[process \d+\])?$", text, re.MULTILINE)
    wanted = [
        "Your module theirs is imported",
        "Your module theirs makes a Flask object",
        "Your module theirs registers a view with Flask.get ×2",
        "Your make runs",
        "Your hello reads request.headers",
        "Your hello reads request.headers['User-Agent']",
    ]
    assert [title for title in own if "Flask.run" not in title] == wanted


@shared
def test_links_are_shown_below_the_places_or_why_there_are_none(recordings: Recordings) -> None:
    text = recordings.show("--recording", recordings.file("werkzeug"), "--links")
    flask = r"https://github\.com/pallets/flask/blob/3\.1\.\d+/src/flask/app\.py"
    assert re.search(
        rf"\n      Flask\.run  flask/app\.py:(\d+)-(\d+)\n      {flask}#L\1-L\2\n", text
    )
    assert re.search(rf"called by Flask\.run, flask/app\.py:(\d+)\n      {flask}#L\1\n", text)
    assert re.search(r"\n      hello  theirs\.py:\d-\d\n      no link: .+\n", text)
    assert re.search(r"\n      socket\.bind .+\n      no link: a system call, whose code is", text)
    steps = steps_of(recordings.text("werkzeug"))
    assert len(re.findall(r"^      (?:https://|no link: )", text, re.MULTILINE)) == 2 * len(steps)


@shared
def test_a_saved_recording_is_shown_in_all_forms(recordings: Recordings) -> None:
    file = recordings.file("werkzeug")
    said = recordings.show("--recording", file, "--html=page.html")
    assert said == "Wrote page.html.\n"
    assert '"title": "The view \'hello\' runs"' in (recordings.folder / "page.html").read_text()
    assert recordings.show("--recording", file, "--report=report.md") == "Wrote report.md.\n"
    assert "The view 'hello' runs" in (recordings.folder / "report.md").read_text()
    compared = recordings.show("--recording", file, "--compare", recordings.file("wsgiref"))
    assert "\nThe view is called, after " in compared
    assert "hunter2" not in (recordings.folder / file).read_text()


@shared
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "x.json: The file is not a complete recording."),
        ('{"format": 0}', "x.json: The recording was made by another version of Carboy."),
        ('{"format": 2, "recording": {"processes": []}}', "x.json: The file is not a complete"),
        ("\udcff", "x.json is not a recording of --save."),
    ],
)
def test_a_file_that_is_not_a_recording_is_refused(folder: Path, text: str, said: str) -> None:
    (folder / "x.json").write_text(text, errors="surrogateescape")
    assert f"Error: {said}" in explain(folder, "--recording=x.json", code=1, how=())


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("plain", "--recording=plain.py"), "APP cannot be combined with --recording."),
        (("--recording=plain.py", "--from-start"), "--from-start cannot be combined with --rec"),
        (("plain", "GET", "/", "--links"), "--links requires --from-start."),
        (("plain", "GET", "/", "--save=x"), "--save requires --from-start."),
        ((), "Missing argument 'APP'."),
    ],
)
def test_options_of_recordings_that_do_not_fit_are_refused(
    folder: Path, args: tuple[str, ...], said: str
) -> None:
    assert said in explain(folder, *args, code=2, how=())


def test_a_script_is_recorded_with_its_own_arguments_and_its_reloader(folder: Path) -> None:
    port = free_port()
    source = THEIRS.replace("app.run(port=1)", f"app.run(port={port}, debug=True)")
    (folder / "theirs.py").write_text(source)
    text = explain(folder, "theirs.py", *TO_HELLO, "--server=script")
    assert f"; script on 127.0.0.1:{port}, " in text.splitlines()[0]
    assert text.splitlines()[0].endswith(" recorded in 2 processes")
    steps = steps_of(text)
    assert_in_order(
        steps,
        [("<module>", ""), ("Flask.run", "<module>"), ("run_simple", "Flask.run"),
         ("socket.bind", "TCPServer.server_bind"), ("socket.listen", ""), ("Flask.run", "<module>"),
         ("BaseServer.serve_forever", ""), ("socket._accept", ""), ("hello", ""),
         ("socket.sendall", "")],
    )  # fmt: skip
    (first, *_) = [step for step in steps if step.name == "Flask.run"]
    assert source.splitlines()[first.line - 1].startswith("app.run(")


def test_a_script_that_starts_no_server_is_reported(folder: Path) -> None:
    text = explain(folder, "plain.py", "GET", "/", "--server=script", code=1)
    assert "Error: plain.py ended and started no server.\n" in text


def test_a_script_must_be_a_file(folder: Path) -> None:
    text = explain(folder, "plain:app", "GET", "/", "--server=script", code=2)
    assert "plain:app is not a file. --server script requires one, such as app.py." in text


def test_a_stream_that_fails_is_explained_with_what_was_sent(folder: Path) -> None:
    text = explain(folder, "plain:fails", "GET", "/")
    first = text.splitlines()[0]
    assert first.startswith(
        "GET / → 200 OK, the server closed the connection before the end, 3 bytes"
    )
    assert "      out: an exception, ValueError: midway\n" in text
    assert text.partition("\nThe bytes of the response\n")[2].count("one") == 1


def test_with_flask_carboy_has_the_names_on_another_server(folder: Path) -> None:
    text = explain(folder, "theirs", *TO_HELLO, "--flask", "--server=wsgiref", "--cold")
    assert_in_order(
        steps_of(text), [("Carboy.__init__", "<module>"), ("hello", ""), ("socket.sendall", "")]
    )
    assert "flask/" not in text


def test_carboy_is_the_server_unless_another_one_is_named(folder: Path) -> None:
    text = explain(folder, "plain", "GET", "/")
    assert "; carboy " in text
    assert "Your app runs" in text


def test_any_wsgi_application_is_served_by_werkzeug(folder: Path) -> None:
    steps = steps_of(explain(folder, "plain.py:app", "GET", "/", "--server=werkzeug"))
    assert_in_order(steps, [("run_simple", "start_werkzeug"), ("app", "")])


def test_a_view_that_raises_is_explained(folder: Path) -> None:
    text = explain(folder, "theirs", "GET", "/fail", "--server=wsgiref")
    assert "→ 500 INTERNAL SERVER ERROR" in text
    assert (
        "  The view 'fail' runs\n"
        "      fail  theirs.py:10-12\n"
        "      called by Flask.dispatch_request, "
    ) in re.sub(r"\d+\. ", " ", text)
    assert "      out: an exception, ZeroDivisionError: division by zero\n" in text
    assert_in_order(
        steps_of(text), [("fail", ""), ("Flask.handle_exception", ""), ("socket.sendall", "")]
    )


def test_a_body_is_sent_and_a_secret_is_not_shown(folder: Path) -> None:
    text = explain(
        folder, "plain", "POST", "/?token=hunter2", "-d", "password=hunter2", "--server=wsgiref"
    )
    assert text.startswith("POST /?token=… → 200 OK")
    assert "hunter2" not in text


@shared
def test_the_tree_of_calls_is_shown_when_an_option_asks_for_it(recordings: Recordings) -> None:
    args = ("--recording", recordings.file("werkzeug"))
    text = recordings.show(*args, "--depth=40")
    assert re.search(r"^ +[\d.,]+ [µm]s +flask Flask\.run \+\d+ calls flask/app\.py", text, re.M)
    assert re.search(r"your application hello theirs\.py:\d+-\d+ \[\d+\] view 'hello'", text)
    assert "\nCalls on thread Thread-1 (process_request_thread)\n" in text
    calls = recordings.show(*args, "--only=jinja2", code=2)
    assert "No calls of 'jinja2' were recorded." in calls


@shared
def test_the_page_has_the_calls_of_all_processes(recordings: Recordings) -> None:
    recordings.show("--recording", recordings.file("gunicorn"), "--html=page.html")
    page = (recordings.folder / "page.html").read_text()
    assert "from the start of the server to its stop" in page
    assert 0 < page.index('"name": "Arbiter.run"') < page.index('"name": "SyncWorker.run"')
    assert '"title": "The view \'hello\' runs"' in page


def test_threads_that_do_not_end_do_not_keep_the_recording(folder: Path) -> None:
    text = explain(folder, "plain:keeps", "GET", "/", "--server=werkzeug")
    assert "The listening socket is closed" in text


@shared
def test_the_bytes_of_the_request_and_the_response_are_shown(recordings: Recordings) -> None:
    text = recordings.text("wsgiref")
    sent, received = text.partition("\nThe bytes of the request\n")[2].split(
        "\nThe bytes of the response\n"
    )
    assert sent.splitlines()[0] == "       0  GET /hello/bob HTTP/1.1\\r\\n"
    lines = {int(line[:8]): line[10:] for line in sent.splitlines() if line}
    assert list(lines)[1] == len("GET /hello/bob HTTP/1.1\r\n")
    assert "User-Agent: me\\r\\n" in lines.values()
    assert re.search(r"\n      \d+ bytes, from number 0: GET /hello/bob HTTP/1\.1\n", text)
    assert re.search(r"\n      \d+ bytes, from number 0: HTTP/1\.0 200 OK\n", text)
    assert received.startswith("       0  HTTP/1.0 200 OK\\r\\n")
    assert "  Hello bob, this is me\n" in received
    assert "Cookie: *********\\r\\n" in lines.values()
    assert "hunter2" not in text


def test_a_compiled_function_is_a_step(folder: Path) -> None:
    pytest.importorskip("markupsafe._speedups")
    (folder / "compiled.py").write_text(
        "from markupsafe._speedups import _escape_inner\n"
        + PLAIN.replace('return [b"ok"]', 'return [b"ok" + _escape_inner("").encode()]')
    )
    text = explain(folder, "compiled", "GET", "/", "--server=wsgiref", "--depth=40")
    (step,) = [step for step in steps_of(text) if "_escape_inner" in step.name]
    assert step.title == "Your app calls markupsafe._speedups._escape_inner"
    assert step.where == "in C, so its source cannot be shown"
    assert (step.caller, step.file) == ("app", "compiled.py")
    assert f"_escape_inner [{step.number}]" in text


@shared
def test_two_servers_are_compared_by_what_their_steps_do(recordings: Recordings) -> None:
    files = recordings.file("werkzeug"), recordings.file("wsgiref")
    text = recordings.show("--recording", files[0], "--compare", files[1])
    first, second, *_ = text.splitlines()
    assert "; werkzeug 3.1." in first and "; wsgiref 3." in second
    events = re.findall(r"^(The .+|Bytes are read), after [\d,]+ and [\d,]+ calls$", text, re.M)
    assert events == [
        "The socket is made", "The socket is bound", "The socket listens",
        "The connection is accepted", "Bytes are read", "The head is parsed",
        "The environ or the request is made", "The application is called", "The rule is found",
        "The view is called", "The response is written", "The connection is closed",
    ]  # fmt: skip
    assert re.search(
        r"^ +\d+\. WSGIRequestHandler\.make_environ  werkzeug/serving\.py:\d+-\d+ +│"
        r" +\d+\. WSGIRequestHandler\.get_environ  wsgiref/simple_server\.py:\d+-\d+$",
        text, re.MULTILINE,
    )  # fmt: skip


def test_two_versions_of_an_application_are_compared(folder: Path) -> None:
    other = folder / "other"
    other.mkdir()
    (other / "plain.py").write_text(PLAIN.replace("def app(", "def more(): pass\n\ndef app("))
    text = explain(folder, "plain", "GET", "/", "--server=wsgiref", "--compare", str(other))
    assert f"; wsgiref in {other.resolve()} on 127.0.0.1:" in text.splitlines()[1]
    assert re.search(r"app  plain\.py:4-6 +│ +\d+\. app  plain\.py:6-8", text)


def test_a_checkout_of_carboy_that_cannot_record_is_refused(folder: Path) -> None:
    (folder / "old/src/carboy").mkdir(parents=True)
    text = explain(folder, "plain", "GET", "/", "--server=wsgiref", "--compare=old", code=2)
    assert "The Carboy in old cannot record a server. Use a later commit." in text


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("plain", "--report", "x.md", "--compare=wsgiref"), "--compare cannot be combined with"),
        (("plain", "--html", "x", "--compare=wsgiref"), "--html cannot be combined with"),
        (("plain", "--server=wsgiref", "--compare=apache"), "'apache' is not a folder, a file of "),
        (("plain", "--server=apache"), "'apache' is not one of 'carboy', 'flask', 'werkzeug'"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    folder: Path, args: tuple[str, ...], said: str
) -> None:
    app, *options = args
    assert said in " ".join(explain(folder, app, "GET", "/", *options, code=2).split())


def test_an_application_that_cannot_be_loaded_is_explained(folder: Path) -> None:
    text = explain(folder, "missing", "GET", "/", "--server=wsgiref", code=1)
    assert "The server ended before it responded." in text
    assert "There is no module 'missing'" in text


def test_a_server_that_ends_shows_its_last_lines(folder: Path) -> None:
    text = explain(folder, "plain:ends", "GET", "/", "--server=wsgiref", code=1)
    assert text.startswith("GET / → the server closed the connection without a response, 0 bytes;")
    assert re.search(r"Your ends runs\n.+\n.+\n      still running when the process ended\n", text)
    assert "\nError: There was no response: the server closed the connection" in text
    assert text.endswith("The server ended with exit code 3.\nlast words\n")


def test_ctrl_c_ends_the_server_and_its_workers(folder: Path) -> None:
    pytest.importorskip("gunicorn")
    args = ("explain", "plain:hangs", "GET", "/", "--from-start", "--server=gunicorn")
    with Running(*args, cwd=folder) as command:
        end = time.monotonic() + PATIENCE
        while not (folder / "pid").exists():
            assert time.monotonic() < end, command.text()
            time.sleep(0.02)
        assert command.stop(signal.SIGINT) == 1
        (line,) = command.err
        assert line.startswith("Error: There was no response: stopped by Ctrl+C. The application ")
        assert re.search(r"was running hangs, \S+plain\.py:\d+\.", line)
        assert "Your hangs runs" in command.text()
        await_gone(int((folder / "pid").read_text()))


def test_a_view_that_hangs_ends_after_the_timeout(folder: Path) -> None:
    text = explain(folder, "plain:hangs", "GET", "/", "--server=wsgiref", "--timeout=4", code=1)
    assert "There was no response within 4 s." in text
    await_gone(int((folder / "pid").read_text()))


def test_a_server_that_is_not_installed_is_named_with_its_package(folder: Path) -> None:
    script = (
        "import sys\n"
        "from importlib import metadata\n"
        "from carboy.cli import explain_servers\n"
        "def version(name): raise metadata.PackageNotFoundError(name)\n"
        "explain_servers.metadata.version = version\n"
        "sys.argv = 'carboy explain plain GET / --from-start --server=waitress'.split()\n"
        "from carboy.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert (
        done.stderr == "Error: waitress is not installed. Install it with `pip install waitress`.\n"
    )


@pytest.mark.parametrize(
    ("option", "needed"), [("--server", "--from-start or --follow"), ("--compare", "--from-start")]
)
def test_an_option_for_servers_requires_from_start(folder: Path, option: str, needed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "carboy", "explain", "plain", "GET", "/", f"{option}=wsgiref"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"{option} requires {needed}." in done.stderr
