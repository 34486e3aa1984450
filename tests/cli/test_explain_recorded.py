"""The chains of the servers that are recorded once, and saved recordings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from started import PLAIN, THEIRS, Recordings, assert_in_order, explain, steps_of

shared = pytest.mark.xdist_group("recordings")  # tests that share the recordings of a process
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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plain.py").write_text(PLAIN)
    return tmp_path


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Recordings:
    return Recordings(tmp_path_factory.mktemp("recordings"))


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
