"""`carboy explain --report` as a process: the content, its links and lines, and its errors."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
from contextlib import nullcontext
from importlib import metadata
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

import ready_commands
from carboy.cli import explain_recorded
from carboy.cli.explain_process import Launch
from carboy.cli.explain_question import Question
from report_reading import steps_of, wrong_lines

pytestmark = pytest.mark.xdist_group("reports")  # they use the same port

APP = """
from flask import Flask, request

app = Flask(__name__)


@app.route("/hello/<name>", methods=["GET", "POST"])
def hello(name):
    return f"Hello {name}, this is {request.headers['User-Agent']}, {request.args.get('q')}"


@app.post("/login")
def login():
    check(password="here-it-is")
    if request.form["password"] == "swordfish":
        return "yes"


def check(password):
    return str(password)


@app.get("/boom")
def boom():
    return {}["missing"]
"""
# From the start function to the stop.
CHAIN = [
    "Flask.run", "run_simple", "make_server", "BaseWSGIServer.__init__", "TCPServer.__init__",
    "socket.__init__", "HTTPServer.server_bind", "TCPServer.server_bind", "socket.bind",
    "TCPServer.server_activate", "socket.listen", "BaseWSGIServer.serve_forever",
    "BaseServer.serve_forever", "socket._accept", "WSGIRequestHandler.handle",
    "BaseHTTPRequestHandler.parse_request", "parse_headers", "WSGIRequestHandler.make_environ",
    "Flask.__call__", "Flask.wsgi_app", "Flask.full_dispatch_request", "Flask.dispatch_request",
    "hello", "EnvironHeaders.__getitem__", "Flask.make_response", "Response.__call__",
    "socket.sendall", "socket.close", "TCPServer.server_close",
]  # fmt: skip


def explain(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return ready_commands.run(["explain", *args], folder, dict(os.environ))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("report")
    (made / "theirs.py").write_text(APP)
    return made


@pytest.fixture(scope="module")
def report(folder: Path) -> str:
    """The report of a real Flask on Werkzeug's server, for a request with secrets."""
    done = explain(
        folder, "theirs", "POST", "/hello/bob?q=a%7Cb&token=hunter2", "--server=werkzeug",
        "-H", "Cookie: session=abcdefgh; a=xyz", "-H", "Authorization: Bearer topsecret",
        "-d", "password=swordfish&name=`|<b>", "--report", "chain.md",
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "Wrote chain.md.\n")
    return (folder / "chain.md").read_text()


def test_the_headings_are_those_of_such_a_report(report: str) -> None:
    assert report.startswith("# How `POST /hello/bob?q=a%7Cb&token=…` is answered by werkzeug 3.1")
    headings = re.findall(r"^## (.+)$", report, re.MULTILINE)
    wanted = [
        "General information and licensing",
        "Start-up: before the socket is created, and until it listens",
        "How it does what it does, from after the socket is created",
        "The stop",
    ]
    assert [heading for heading in headings if heading in wanted] == wanted


def test_the_response_is_complete(report: str) -> None:
    assert re.search(r"^\| response \| 200 OK, \d+ bytes in the body \|$", report, re.MULTILINE)


def test_every_call_is_a_step_in_its_order(report: str) -> None:
    steps = steps_of(report)
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    rest = iter(step.function for step in steps)
    for name in CHAIN:
        assert name in rest, f"{name} is missing or too early"


def test_every_quoted_line_is_a_line_of_the_file(report: str, folder: Path) -> None:
    steps = steps_of(report)
    assert wrong_lines(steps, folder) == []
    assert sum(len(step.quoted()) for step in steps) > 4 * len(steps)
    assert all(len(step.quoted()) <= 10 for step in steps)


def test_a_step_quotes_the_line_that_calls_the_next_one(report: str) -> None:
    steps = {step.function: step for step in steps_of(report)}
    bind = steps["TCPServer.server_bind"]
    assert bind.caller == "HTTPServer.server_bind"
    assert bind.call == "socketserver.TCPServer.server_bind(self)"
    assert "→" in bind.text
    assert any("self.socket.bind(self.server_address)" in line for line in bind.quoted().values())
    hello = steps["hello"]
    assert "in: `name = 'bob'`" in hello.text
    assert "out: `'Hello bob, this is carboy-explain/" in hello.text


def test_every_step_has_a_link_or_says_why_not(report: str) -> None:
    for step in steps_of(report):
        function, caller = re.findall(r"^ +- (?:function|called by): .+$", step.text, re.MULTILINE)
        for line in (function, caller):
            assert "](https://" in line or "(no link: " in line, line
    version = metadata.version("flask")
    assert f"](https://github.com/pallets/flask/blob/{version}/src/flask/app.py#L" in report
    assert re.search(r"python/cpython/blob/v3\.\d+\.\d+\S*/Lib/socketserver\.py#L", report)


def test_each_technology_has_a_table(report: str) -> None:
    names = ["Flask", "Werkzeug", "carboy", "http.server", "socketserver", "socket", "Python"]
    for name in names:
        assert report.count(f"\n|  | {name} |\n") == 1
    table = report.partition("\n|  | socketserver |\n")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| ([^|]+) \| (.+) \|$", table, re.MULTILINE)
    found = dict(rows[1:])
    assert found["repository"] == "<https://github.com/python/cpython>"
    assert found["description"] == "Generic socket server classes."
    assert "/Lib/socketserver.py" in found["files that ran"]
    assert found["licence (SPDX)"] == "[PSF-2.0](https://spdx.org/licenses/PSF-2.0.html)"
    assert found["licence text"].endswith("/LICENSE>")
    assert {"version", "part of the steps", "allows", "requires", "restricts"} <= set(found)


def test_the_headers_and_the_bytes_follow_the_steps(report: str, folder: Path) -> None:
    parsing = report.partition("\n## How the headers were parsed\n")[2]
    assert parsing.startswith("\nThe header User-Agent is followed from the bytes to the code ")
    assert "`hello` reads it with `request.headers['User-Agent']`, `theirs.py:9`" in parsing
    assert "| `HTTP_COOKIE` | `'…'` |" in parsing
    appendix = parsing.partition("\n## Appendix: the complete bytes\n")[2]
    assert "\n       0  POST /hello/bob?q=a%7Cb&token=******* HTTP/1.1\\r\\n\n" in appendix
    assert "  password=*********&name=`|<b>\n" in appendix
    assert "\n       0  HTTP/1.1 200 OK\\r\\n\n" in appendix
    assert len(re.findall(r"^```mermaid$", report, re.MULTILINE)) == 2


def test_another_value_can_be_followed_in_the_report(folder: Path) -> None:
    done = explain(
        folder, "theirs", "GET", "/hello/bob?q=caf%C3%A9", "--follow=query:q", "--report", "q.md",
        "--server=werkzeug",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    text = (folder / "q.md").read_text()
    assert "\nThe query parameter q is followed from the bytes to the code that reads it." in text
    assert "`hello` reads it with `request.args.get('q')`" in text


def test_the_markdown_has_no_other_structure_than_its_steps_and_tables(report: str) -> None:
    chain = report.partition("\n## How the headers were parsed\n")[0]
    tokens = MarkdownIt("commonmark").enable("table").parse(chain)
    kinds = [token.type for token in tokens]
    steps = steps_of(report)
    assert kinds.count("ordered_list_open") == 3
    fences = [token for token in tokens if token.type == "fence" and token.level > 0]
    assert len(fences) == sum(bool(step.quoted()) for step in steps)
    strong = [
        each for token in tokens for each in token.children or () if each.type == "strong_open"
    ]
    assert len(strong) == len(steps)
    inline = {each.type for token in tokens for each in token.children or ()}
    assert not {"em_open", "html_inline", "image"} & inline
    assert not {"code_block", "blockquote_open", "hr", "html_block"} & set(kinds)


def test_the_rule_that_matches_is_in_the_report(report: str) -> None:
    section = report.partition("\n## How the rule was found\n")[2]
    assert "```text\nPOST /hello/bob\n  ✓ /hello/<name> → hello  (name='bob')\n```\n" in section


def test_a_system_call_has_the_bytes_that_it_moved(report: str) -> None:
    reads = [step for step in steps_of(report) if step.function == "socket.recv_into"]
    assert re.search(
        r"- bytes: \d+ bytes, from number 0, which begin with `POST /hello/bob\?.+ HTTP/1.1`\n",
        reads[0].text,
    )


def test_numbers_that_differ_in_every_run_have_names(report: str) -> None:
    assert "('127.0.0.1', CLIENT_PORT)" in report
    assert "connected to `127.0.0.1:CLIENT_PORT`" in report


def test_a_port_that_is_taken_after_it_was_chosen_is_left_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(explain_recorded, "usual_port", lambda: nullcontext(port))

        def hang_up() -> None:
            taken.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        made = explain_recorded.recorded_on_usual_port(
            Launch("theirs", "wsgiref"), Question("GET", "/hello/bob", [], None), 60, None
        )
        thread.join()
    assert made.status == "200 OK"
    assert made.address != f"127.0.0.1:{port}"


def test_a_port_that_is_in_use_is_left_alone(folder: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 5000))
        except OSError:
            pass  # another program has it, which is as good
        taken.listen()
        done = explain(folder, "theirs", "GET", "/hello/bob", "--report", "other.md", "--lines=0")
    assert done.returncode == 0, done.stderr
    text = (folder / "other.md").read_text()
    assert "| response | 200 OK, " in text
    assert "socket: `127.0.0.1:5000`" not in text
    assert "```python" not in text


def test_secrets_are_not_in_the_report(report: str) -> None:
    for secret in ("hunter2", "abcdefgh", "xyz", "topsecret", "swordfish"):
        assert secret not in report
    command = re.search(r"^\| command \| `+(.+?)`+ \|$", report, re.MULTILINE)
    assert command is not None
    assert "-H 'Cookie: …' -H 'Authorization: …' -d 'password=…&name=" in command[1]


def test_secrets_in_quoted_code_are_not_in_the_report(folder: Path) -> None:
    secrets = ("-d", "password=swordfish")
    done = explain(folder, "theirs", "POST", "/login", *secrets, "--report", "login.html")
    assert done.returncode == 0, done.stderr
    page = (folder / "login.html").read_text()
    assert "swordfish" not in page
    assert "here-it-is" not in page
    assert re.sub("<.*?>", "", page).count('check(password="…")') == 0
    assert "check(password=&#34;…&#34;)" in re.sub("<.*?>", "", page)


def test_a_view_that_raises_is_reported(folder: Path) -> None:
    done = explain(folder, "theirs", "GET", "/boom", "--server=werkzeug", "--report", "boom.html")
    assert done.returncode == 0, done.stderr
    page = (folder / "boom.html").read_text()
    assert "500 INTERNAL SERVER ERROR" in page
    assert "out: raised <code>KeyError: &#39;missing&#39;</code>" in page
    assert page.count("<h2 ") >= 4


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--report", "x.txt"), "x.txt does not end with .md, .html or .pdf."),
        (("--report", "x"), "x does not end with .md, .html or .pdf."),
        (("--report", "no/x.md"), "no/x.md cannot be written: its folder does not exist."),
        (("--report", "x.md", "--full"), "--full cannot be combined with --report."),
        (("--report", "x.md", "--lines=-1"), "'-1' is not a whole number of at least 0."),
        (("--lines", "3"), "--lines requires --report."),
    ],
)
def test_a_report_that_cannot_be_made_is_one_line(
    folder: Path, args: tuple[str, ...], said: str
) -> None:
    done = explain(folder, "theirs", "GET", "/hello/bob", *args)
    assert done.returncode in (1, 2)
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
