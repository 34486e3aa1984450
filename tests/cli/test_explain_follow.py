"""`carboy explain --follow` with each server, as real processes on real sockets."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

import ready_commands

FLASK = """
from flask import Flask, render_template, request

app = Flask(__name__)

@app.route("/all", methods=["GET", "POST"])
def everything():
    given = request.args.get("q"), request.cookies.get("theme"), request.form.get("name")
    return f"{given} {request.path} {request.form.get('password')}"

@app.post("/many")
def many():
    other = request.headers["X-Other"]
    mine, tags = request.headers["X-Mine"], request.headers["X-Tag"].split(",")
    text = request.user_agent.string
    given = request.args.get("q"), request.cookies.get("theme"), request.form.get("name")
    return f"{other} {mine} {tags} {text} {given} {request.path} {request.form.get('password')}"

def named():
    return request.headers["X-Name"]

@app.post("/helper/<int:number>")
def helper(number):
    name = named()
    return request.get_data() + f"{name} {number}".encode()

@app.get("/page")
def page():
    return render_template("page.html")

@app.post("/document")
def document():
    given = request.get_json()
    return given
"""
PLAIN = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [f"this is {environ['HTTP_USER_AGENT']}".encode()]
"""
SHORT = """
from urllib.parse import parse_qs

def app(environ, start_response):
    given = parse_qs(environ["QUERY_STRING"]).get("q")
    name = environ.get("HTTP_X_NAME")
    start_response("200 OK", [])
    return [f"{given} {name} {environ['HTTP_USER_AGENT']}".encode()]
"""
# Two parts of the form have the same content.
MULTIPART = (
    '--XX\r\nContent-Disposition: form-data; name="other"\r\n\r\nJane\r\n'
    '--XX\r\nContent-Disposition: form-data; name="name"\r\n\r\nJane\r\n--XX--\r\n'
)
MULTIPART_TYPE = "Content-Type: multipart/form-data; boundary=XX"
ME = ("-H", "User-Agent: me")
# A request with many values, which one recording follows.
MANY = (
    "POST", "/many?x=1&q=caf%C3%A9", "-d", "x=Jane+D&name=Jane+D&password=hunter2",
    "-H", "Cookie: first=dark; theme=dark; sid=secret99; session=abcd99", *ME,
    "-H", "X-Other: same", "-H", "X-Mine: same", "-H", "X-Tag: one", "-H", "X-Tag: two",
)  # fmt: skip
FOLLOWED = (
    "query:q", "cookie:theme", "cookie:session", "form:name", "form:password", "path",
    "header:user-agent", "header:X-Mine", "header:X-Tag", "header:Accept",
)  # fmt: skip
pytestmark = pytest.mark.timeout(240)  # following many values at once is much work
followed = pytest.mark.xdist_group("followed")  # tests that share the recordings of a process
BOTH = pytest.mark.parametrize(
    ("app", "server"), [("theirs", "werkzeug"), ("theirs", "carboy"), ("ours", "carboy")],
    ids=["flask on werkzeug", "flask on carboy", "carboy"],
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return filled(tmp_path)


def filled(folder: Path) -> Path:
    (folder / "theirs.py").write_text(FLASK)
    (folder / "ours.py").write_text(FLASK.replace("from flask", "from carboy"))
    (folder / "plain.py").write_text(PLAIN)
    (folder / "templates").mkdir()
    (folder / "templates/page.html").write_text("<h1>\n{{ request.headers['X-Name'] }}\n</h1>")
    return folder


class Recorded:
    """Requests whose values several tests look at, each recorded once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._many: dict[tuple[str, str], str] = {}

    def many(self, app: str, server: str) -> str:
        key = (app, server)
        if key not in self._many:
            follow = [f"--follow={each}" for each in FOLLOWED]
            self._many[key] = explain(self.folder, app, *MANY, *follow, f"--server={server}")
        return self._many[key]

    def one(self, app: str, server: str, value: str) -> str:
        """The part of `many` about one value."""
        parts = parts_of(self.many(app, server))
        assert len(parts) == len(FOLLOWED)
        return parts[FOLLOWED.index(value)]


def parts_of(text: str) -> list[str]:
    """The parts about one value each."""
    return re.split(r"^(?=Following the )", text, flags=re.MULTILINE)[1:]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return Recorded(filled(tmp_path_factory.mktemp("followed")))


def explain(folder: Path, *args: str, code: int = 0) -> str:
    env = {"PATH": "", "HOME": str(folder)}
    done = ready_commands.run(["explain", *args], folder, env)
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def refused(folder: Path, *args: str) -> str:
    done = ready_commands.run_here(["explain", *args], folder)
    assert done.returncode == 2, done.stderr
    return done.stderr


def functions_of(text: str) -> list[str]:
    """The functions of the steps, whose numbers are in order."""
    found = re.findall(r"^ +(\d+)\. (\S+)", text, re.MULTILINE)
    assert [int(number) for number, _ in found] == list(range(1, len(found) + 1)), text
    return [name for _, name in found]


def assert_in_order(found: list[str], wanted: list[str]) -> None:
    rest = iter(found)
    for name in wanted:
        assert name in rest, f"{name} is missing or too early: {found}"


def bytes_at_the_marks(text: str) -> str:
    """The characters of the dump above the marks."""
    rows = text.splitlines()
    return "".join(
        "".join(above[n] for n, mark in enumerate(row) if mark == "^")
        for above, row in zip(rows, rows[1:], strict=False)
        if re.fullmatch(r" +\^[ ^]*", row)
    )


@followed
def test_a_header_is_followed_through_flask_on_its_own_server(recorded: Recorded) -> None:
    text = recorded.one("theirs", "werkzeug", "header:X-Mine")
    assert text.startswith("Following the header X-Mine of POST /many?x=1&q=caf%C3%A9 on werkzeug ")
    assert re.search(r"^socket.recv_into read \d+ bytes \(numbers 0 to \d+,", text, re.MULTILINE)
    steps = [
        "SocketIO.readinto", "_read_headers", "parse_headers", "FeedParser.feed",
        "FeedParser._parse_headers", "Compat32.header_source_parse", "Message.set_raw",
        "WSGIRequestHandler.make_environ", "EnvironHeaders._get_key", "EnvironHeaders.__getitem__",
    ]  # fmt: skip
    assert_in_order(functions_of(text), steps)
    assert "stored in environ['HTTP_X_MINE']: 'same'" in text


@followed
@pytest.mark.parametrize(
    ("app", "steps"),
    [
        ("theirs", ["Engine._read", "Machine.receive", "RequestHead.fields", "field_variables",
                    "ServerExchange.environ", "EnvironHeaders.__getitem__"]),
        ("ours", ["Engine._read", "Machine.receive", "RequestHead.fields", "Headers._find",
                  "RequestHeaders.__getitem__"]),
    ],
)  # fmt: skip
def test_a_header_is_followed_on_both_lanes_of_carboy(
    recorded: Recorded, app: str, steps: list[str]
) -> None:
    text = recorded.one(app, "carboy", "header:X-Mine")
    assert_in_order(functions_of(text), steps)
    assert "data = connection.sock.recv(self._read_size)" in text


@pytest.mark.parametrize("server", ["gunicorn", "waitress"])
def test_each_server_can_be_followed_to_a_plain_application(folder: Path, server: str) -> None:
    if importlib.util.find_spec(server) is None:
        pytest.skip(f"{server} is not installed")
    text = explain(
        folder, "plain", "GET", "/", *ME, "--follow=header:User-Agent", f"--server={server}"
    )
    assert bytes_at_the_marks(text) == "me"
    assert "['HTTP_USER_AGENT']: 'me'" in text
    assert "app reads it with environ['HTTP_USER_AGENT']" in text


@followed
def test_every_quoted_line_is_in_its_file(recorded: Recorded) -> None:
    text = recorded.one("theirs", "werkzeug", "header:X-Mine")
    quoted = re.findall(r"^      (\S+\.py):(\d+): (.+)$", text, re.MULTILINE)
    assert len(quoted) > 20
    places = [Path(each) for each in sys.path if Path(each).is_dir()]
    for file, line, source in quoted:
        found = next(each / file for each in [recorded.folder, *places] if (each / file).is_file())
        assert found.read_text().splitlines()[int(line) - 1].strip() == source


@followed
@BOTH
def test_a_percent_encoded_query_is_followed_to_its_decoded_text(
    recorded: Recorded, app: str, server: str
) -> None:
    text = recorded.one(app, server, "query:q")
    assert text.startswith("Following the query parameter q of POST /many?x=1&q=caf%C3%A9 on ")
    assert bytes_at_the_marks(text) == "caf%C3%A9"
    assert "'caf%C3%A9'" in text and "returns 'café'" in text
    assert 'many reads it with request.args.get("q")' in text


@followed
@BOTH
def test_one_of_several_cookies_is_followed(recorded: Recorded, app: str, server: str) -> None:
    text = recorded.one(app, server, "cookie:theme")
    assert bytes_at_the_marks(text) == "dark"
    assert 'many reads it with request.cookies.get("theme")' in text
    assert "secret99" not in recorded.many(app, server)


@followed
@BOTH
def test_secrets_are_followed_without_being_shown(
    recorded: Recorded, app: str, server: str
) -> None:
    assert bytes_at_the_marks(recorded.one(app, server, "cookie:session")) == "******"
    text = recorded.one(app, server, "form:password")
    assert bytes_at_the_marks(text) == "*******"
    assert "many reads it with request.form.get('password')" in text
    for secret in ("abcd99", "hunter2"):
        assert secret not in recorded.many(app, server)


@followed
@BOTH
def test_a_field_of_an_urlencoded_form_is_followed(
    recorded: Recorded, app: str, server: str
) -> None:
    text = recorded.one(app, server, "form:name")
    assert bytes_at_the_marks(text) == "Jane+D"
    assert 'many reads it with request.form.get("name")' in text


def test_a_field_of_a_chunked_form_is_followed(folder: Path) -> None:
    text = explain(
        folder, "theirs", "POST", "/all", "-d", "x=1&name=Jane%20D",
        "-H", "Transfer-Encoding: chunked", "--follow=form:name", "--server=werkzeug",
    )  # fmt: skip
    assert bytes_at_the_marks(text) == "Jane%20D"
    assert 'everything reads it with request.form.get("name")' in text


@pytest.mark.parametrize(("app", "server"), [("theirs", "werkzeug"), ("ours", "carboy")])
def test_a_value_in_a_multipart_form_after_a_large_file_is_followed(
    folder: Path, app: str, server: str
) -> None:
    file = "\r\n".join(f"{number:07}" for number in range(36_000))
    part = '--XX\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    body = f"{part}{file}\r\n{MULTIPART}"
    (folder / "large").write_text(body, newline="")
    text = explain(
        folder, app, "POST", "/all", "-d", "@large", "--follow=form:name", f"--server={server}",
        "-H", MULTIPART_TYPE,
    )  # fmt: skip
    assert len(body) > 320_000 and bytes_at_the_marks(text) == "Jane"
    place = int(re.findall(r"The value is 4 bytes \(numbers ([\d,]+) ", text)[0].replace(",", ""))
    assert place > 320_000
    assert 'everything reads it with request.form.get("name")' in text


@pytest.mark.parametrize("server", ["werkzeug", "carboy"])
def test_helpers_converters_and_reads_of_the_body_are_named(folder: Path, server: str) -> None:
    named, number, body = parts_of(
        explain(
            folder, "theirs", "POST", "/helper/17", "-H", "X-Name: Zoë", "-d", "hello there",
            "-H", "Content-Type: text/plain", "--follow=header:x-name", "--follow=path",
            "--follow=body", f"--server={server}",
        )
    )  # fmt: skip
    assert (
        'named reads it with request.headers["X-Name"]\n      theirs.py:LINE: return request.'
        'headers["X-Name"]\nhelper gets it with named()\n      theirs.py:LINE: name = named()\n'
    ) in without_lines(named)
    said = "helper gets it as number\n      theirs.py:LINE: def helper(number):\n"
    assert said in without_lines(number)
    assert bytes_at_the_marks(body) == "hello there"
    assert "helper reads it with request.get_data()" in body


@pytest.mark.parametrize(
    ("sent", "mark", "said"),
    [
        (("GET", "/page", "-H", "X-Name: Ada", "--follow=header:X-Name"), "Ada",
         "the template page.html reads it\n      page.html:2: {{ request.headers['X-Name'] }}\n"),
        (("POST", "/document", "--json", '{"a": 1}', "--follow=body"), '{"a": 1}',
         "document reads it with request.get_json()\n"),
    ],
    ids=["template", "document"],
)  # fmt: skip
def test_templates_and_reads_of_json_are_named(
    folder: Path, sent: tuple[str, ...], mark: str, said: str
) -> None:
    text = explain(folder, "ours", *sent, "--server=carboy")
    assert bytes_at_the_marks(text) == mark
    assert said in text


def without_lines(text: str) -> str:
    return re.sub(r"(theirs\.py):\d+", r"\1:LINE", text)


@followed
@BOTH
def test_an_attribute_that_is_read_without_a_call_is_named(
    recorded: Recorded, app: str, server: str
) -> None:
    text = recorded.one(app, server, "header:user-agent")
    assert text.startswith("Following the header User-Agent of POST /many")
    assert bytes_at_the_marks(text) == "me"
    assert "many reads it with request.user_agent.string\n" in text
    assert "text = request.user_agent.string\n" in text


@followed
@BOTH
def test_the_path_is_followed(recorded: Recorded, app: str, server: str) -> None:
    text = recorded.one(app, server, "path")
    assert bytes_at_the_marks(text) == "/many"
    assert "many reads it with request.path" in text


@followed
@BOTH
def test_an_equal_value_of_another_header_is_not_followed(
    recorded: Recorded, app: str, server: str
) -> None:
    text = recorded.one(app, server, "header:X-Mine")
    assert bytes_at_the_marks(text) == "same"
    assert 'many reads it with request.headers["X-Mine"]\n      ' in text
    assert "other = 'same'" not in text and "['HTTP_X_OTHER']: " not in text
    offset = int(re.findall(r"The value is 4 bytes \(numbers (\d+)", text)[0])
    received = re.findall(r"(?:b?)'[^']*X-Other: same\\r\\nX-Mine: same", text)
    assert received and offset > 100


def test_a_single_character_is_told_apart_from_equal_ones_and_the_chain_comes_first(
    folder: Path,
) -> None:
    (folder / "short.py").write_text(SHORT)
    text = explain(
        folder, "short", "GET", "/1?q=1", "-H", "X-Name: 1", "-H", "X-More: 1", *ME,
        "--follow=query:q", "--follow=header:User-Agent", "--from-start", "--server=wsgiref",
    )  # fmt: skip
    query, agent = parts_of(text)
    assert text.index("\nThe stop\n") < text.index("\nFollowing the query parameter q of GET /1?")
    assert bytes_at_the_marks(query) == "1"
    assert 'app reads it with parse_qs(environ["QUERY_STRING"])' in query
    for other in ("component = '1'", "name = '1'", "v = '1'"):
        assert other not in query
    assert bytes_at_the_marks(agent) == "me"
    assert "['HTTP_USER_AGENT']: 'me'" in agent
    assert "app reads it with environ['HTTP_USER_AGENT']" in agent


@followed
@BOTH
def test_a_repeated_header_is_sent_and_followed_line_by_line(
    recorded: Recorded, app: str, server: str
) -> None:
    text = recorded.one(app, server, "header:X-Tag")
    assert bytes_at_the_marks(text) == "onetwo"
    assert re.search(r"The value is 3 bytes \(.*\), and 3 bytes \(", text)
    assert 'many reads it with request.headers["X-Tag"]' in text


@followed
@BOTH
def test_a_value_that_the_view_does_not_read_says_how_far_it_went(
    recorded: Recorded, app: str, server: str
) -> None:
    text = recorded.one(app, server, "header:Accept")
    assert functions_of(text)
    assert re.search(r"The application never read the header Accept. It got as far as \S+, ", text)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("header:X-Missing", "header:X-Missing is not in the request. The headers are Host, "),
        ("query:q", "query:q is not in the request. Add ?NAME=VALUE to the path."),
        ("cookie:a", "cookie:a is not in the request. Send it with -H 'Cookie: NAME=VALUE'."),
        ("form:a", "form:a is not in the request. Send it with -d 'NAME=VALUE'."),
        ("body", "body is not in the request. Send one with -d or --json."),
        ("colour:red", "'colour:red' is not a value of a request. Use header:NAME, query:NAME,"),
        ("header", "'header' is not a value of a request."),
        ("path:x", "'path:x' is not a value of a request."),
    ],
)
def test_a_value_that_cannot_be_followed_is_explained(folder: Path, what: str, said: str) -> None:
    text = refused(folder, "plain", "GET", "/", "--follow", what)
    assert said in " ".join(text.split())


def test_options_that_do_not_fit_are_refused(folder: Path) -> None:
    follow = ("plain", "GET", "/", "--follow=path")
    assert "--html cannot be combined with --follow." in refused(folder, *follow, "--html", "x")
    assert "--compare cannot be combined with --follow." in refused(
        folder, *follow, "--compare", "wsgiref"
    )
    text = refused(folder, *follow, "--follow=header:Host", "--report=x.md")
    assert "--report follows one value. Give --follow once." in text
