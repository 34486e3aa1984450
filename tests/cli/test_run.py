"""`carboy run` as a process, and the sources of its options."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from carboy.cli import config, run
from carboy.cli.main import make_group
from carboy.cli.options import listening, names_of, tuning
from carboy.server.processes.plan import Plan
from carboy.server.settings import names_of_settings
from running import PATIENCE, PLATFORM, Running, die_with_parent

SERVING = Path(__file__).resolve().parents[2] / "docs" / "serving.md"
HELLO = """
import os
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [os.environ.get("GREETING", "hello").encode()]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "app.py").write_text(HELLO)
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("CARBOY_", "FLASK_")) or name in PLATFORM:
            monkeypatch.delenv(name)
    return tmp_path


def planned(monkeypatch: pytest.MonkeyPatch, *args: str) -> tuple[Plan, str]:
    """The plan and the application of `carboy run`; nothing is served."""
    plans: list[tuple[Plan, str]] = []

    def start(plan: Plan, load: object, announcer: object, commands: object) -> int:
        plans.append((plan, announcer.name))  # type: ignore[attr-defined]
        return 0

    monkeypatch.setattr(run, "start", start)
    result = CliRunner().invoke(make_group(), args, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return plans[0]


def refused(*args: str) -> str:
    result = CliRunner().invoke(make_group(), args, catch_exceptions=False)
    assert result.exit_code != 0
    return result.output


def test_app_py_is_served_on_port_8000_of_this_machine_by_default(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, name = planned(monkeypatch, "run")
    assert name == "app.py"
    assert [str(address) for address in plan.addresses] == ["127.0.0.1:8000"]
    assert (plan.workers, plan.access_log) == (1, True)


def test_options_reach_the_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, _ = planned(
        monkeypatch, "run", "app", "-h", "::1", "-p", "81", "-b", "unix:/x", "-w", "3", "-t", "7",
        "--keepalive", "5", "--no-access-log", "--limit-body", "10MiB", "--spool-limit", "1k",
        "--no-sendfile", "--poller", "selectors", "--socket-mode", "660",
        "--socket-group", "www-data",
    )  # fmt: skip
    assert [str(address) for address in plan.addresses] == ["[::1]:81", "unix:/x"]
    assert (plan.workers, plan.settings.threads, plan.access_log) == (3, 7, False)
    assert plan.settings.keepalive_timeout == 5.0
    assert plan.settings.limits.body == 10 * 1024**2
    assert plan.settings.spool_limit == 1024
    assert (plan.settings.sendfile, plan.settings.poller) == (False, "selectors")
    assert (plan.socket_mode, plan.socket_group) == (0o660, "www-data")


def test_the_command_line_has_precedence_over_variables_and_variables_over_the_project(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "pyproject.toml").write_text(
        '[tool.carboy]\napp = "app"\nport = 1\nthreads = 2\nkeepalive-timeout = 3\nworkers = 4\n'
        'access-log = false\nlimit-body = "4k"\n'
    )
    below = folder / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    monkeypatch.setenv("CARBOY_PORT", "10")
    monkeypatch.setenv("CARBOY_THREADS", "20")
    plan, name = planned(monkeypatch, "run", "-p", "100")
    assert name == "app"
    assert plan.addresses[0].port == 100
    assert plan.settings.threads == 20
    assert plan.settings.keepalive_timeout == 3
    assert plan.settings.limits.body == 4096
    assert (plan.workers, plan.access_log) == (4, False)


def test_every_option_of_run_is_in_its_help() -> None:
    shown = CliRunner().invoke(make_group(), ["run", "--help"]).output
    for parameter in (*listening(), *tuning()):
        assert all(name in shown for name in parameter.opts), parameter.opts


def test_every_option_of_run_has_a_variable_and_a_key() -> None:
    parameters = [*listening(), *tuning()]
    for parameter in parameters:
        assert parameter.envvar == f"CARBOY_{parameter.name.upper()}"
    assert len(set(names_of(parameters))) == len(parameters) > 35


@pytest.mark.parametrize("parameter", tuning(), ids=lambda each: each.name)
def test_every_option_of_run_reaches_the_settings(
    folder: Path, monkeypatch: pytest.MonkeyPatch, parameter: click.Option
) -> None:
    chosen = {
        "poller": "selectors",
        "interface": "asgi",
        "loop": "asyncio",
        "hold_slow": "skip",
        "websocket_origins": "https://example.com",
        "channels": "nats://localhost",
        "tls_min": "1.3",
        "client_cert": "optional",
        "static": "/assets=.",
        "trusted_proxies": "10.0.0.7",
        "forwarded_fields": "proto",
        "root_path": "/shop",
        "host_allow": "shop.example",
        "access_log_sample": "0.5",
        "access_log_skip": "/healthz",
        "tracing": "no",
        "livez": "/livez",
        "readyz": "/readyz",
        "statsd": "127.0.0.1:8125",
    }
    monkeypatch.setattr(run, "tls_server", lambda *given: None)
    value = chosen.get(str(parameter.name), "2")
    given = (parameter.opts[0],) if parameter.secondary_opts else (parameter.opts[0], value)
    settings = planned(monkeypatch, "run", *given)[0].settings
    assert parameter.name is not None
    found = [
        getattr(getattr(settings, group) if group else settings, each.name)
        for group, name, each in names_of_settings()
        if name == parameter.name
    ]
    assert str(found[0]) in (value, "2.0", "True", f"('{value}',)")


def test_the_tables_of_the_documentation_have_every_option_with_its_default() -> None:
    """A row has one or more options, and one default for all of them or one for each."""
    documented: dict[str, str] = {}
    pages = (
        SERVING.with_name(name)
        for name in ("metrics.md", "static-files.md", "http2.md", "workers.md", "serving.md")
    )
    for line in "".join(page.read_text() for page in pages).splitlines():
        if line.startswith("| `--"):
            names = re.findall(r"`(--[a-z0-9-]+)", line.split("|")[1])
            defaults = line.split("|")[2].strip().replace("`", "").split(", ")
            if len(defaults) != len(names):
                defaults = [", ".join(defaults)] * len(names)
            documented |= dict(zip(names, defaults, strict=True))
    for parameter in [*listening(), *tuning()]:
        assert isinstance(parameter, click.Option)
        name = next(each for each in parameter.opts if each.startswith("--"))
        shown = re.search(r"\[default: (.*)\]", parameter.help or "")
        default = shown[1] if shown else str(parameter.default) if parameter.show_default else ""
        assert documented[name].startswith(default), (name, default, documented[name])


def test_a_single_address_in_the_project_needs_no_list(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "pyproject.toml").write_text('[tool.carboy]\nbind = "unix:/a"\n')
    assert [str(each) for each in planned(monkeypatch, "run")[0].addresses] == ["unix:/a"]


def test_bind_may_be_a_list_in_the_project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "pyproject.toml").write_text('[tool.carboy]\nbind = ["unix:/a", "127.0.0.1:1"]\n')
    plan, _ = planned(monkeypatch, "run")
    assert [str(address) for address in plan.addresses] == ["unix:/a", "127.0.0.1:1"]


def test_an_unknown_key_of_the_project_is_an_error_with_a_suggestion(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool.carboy]\nkeep-alive-timeout = 3\n")
    output = refused("run")
    assert "'keep-alive-timeout'" in output
    assert "Did you mean 'keepalive-timeout'" in output


def test_a_project_file_that_cannot_be_read_is_an_error(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool\n")
    assert "cannot be read" in refused("run")


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (("-b", "nowhere"), "HOST:PORT"),
        (("-w", "0"), "Use a number from 1 up, or auto."),
        (("-t", "0"), "not a whole number of at least 1."),
        (("-p", "70000"), "65535"),
        (("--limit-body", "much"), "512k or 10MiB"),
        (("--umask", "9"), "octal digits, such as 660"),
    ],
)
def test_a_wrong_value_is_an_error_with_the_right_form(
    folder: Path, args: tuple[str, ...], part: str
) -> None:
    assert part in refused("run", *args)


def test_dotenv_files_do_not_replace_variables_that_are_set(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("A", "B", "C", "D"):
        monkeypatch.setenv(f"TRIED_{name}", "")
        monkeypatch.delenv(f"TRIED_{name}")
    monkeypatch.setenv("TRIED_D", "real")
    (folder / ".env").write_text("TRIED_A=env\nTRIED_B=env\nTRIED_D=env\n")
    (folder / ".flaskenv").write_text("TRIED_A=flask\nTRIED_C=flask\n")
    (folder / "other").write_text("TRIED_B=other\n")
    config.load_env("other", folder)
    values = [os.environ[f"TRIED_{name}"] for name in "ABCD"]
    assert values == ["env", "other", "flask", "real"]


def test_a_variable_in_a_dotenv_file_sets_an_option(folder: Path) -> None:
    (folder / ".carboyenv").write_text("CARBOY_PORT=0\nGREETING=from the file\n")
    with Running("run", cwd=folder) as server:
        assert server.get() == (200, b"from the file")


def test_dotenv_files_can_be_ignored(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text("TRIED_E=1\n")
    monkeypatch.setenv("FLASK_SKIP_DOTENV", "1")
    assert config.load_env(None, folder) == []


def test_the_banner_is_plain_text_without_a_terminal(folder: Path) -> None:
    with Running("run", "-p", "0", "-w", "2", "-t", "3", cwd=folder) as server:
        host, port = server.address()
        server.line("Press Ctrl+C to stop")
        assert server.err == [
            "Carboy 0.1.0 is serving app.py\n",
            f"http://{host}:{port}/\n",
            "Trusted proxies: unix sockets\n",
            f"2 workers × 3 threads, Python {sys.version.split()[0]}, pid {server.pid}\n",
            "Press Ctrl+C to stop\n",
        ]
        assert server.stop(signal.SIGINT) == 0
        assert server.err[-1] == "Stopped.\n"


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_shows_a_bottle_in_colours_unless_no_color_is_set(
    folder: Path, no_color: str
) -> None:
    master, slave = pty.openpty()
    env = {**os.environ, "NO_COLOR": no_color, "PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen(
        [sys.executable, "-m", "carboy", "run", "-p", "0"],
        cwd=folder, env=env, stdout=slave, stderr=slave, stdin=slave,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - only one system call
    )  # fmt: skip
    os.close(slave)
    shown = b""
    try:
        while b"Ctrl+C" not in shown:
            assert select.select([master], [], [], PATIENCE)[0]
            shown += os.read(master, 4096)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)
    assert "╰─────╯" in shown.decode(errors="ignore")
    assert (b"\x1b[" in shown) is not bool(no_color)


@pytest.mark.parametrize("how", [("-w", "1"), ("-w", "2"), ("--no-supervisor",)])
def test_ctrl_c_shows_what_the_server_waits_for(folder: Path, how: tuple[str, ...]) -> None:
    os.mkfifo(folder / "gate")
    (folder / "slow.py").write_text(
        "import os\ndef app(environ, start):\n os.write(1, b'in\\n')\n"
        " open('gate').read()\n start('200 OK', [])\n return [b'done']\n"
    )
    with Running("run", "slow", "-p", "0", *how, cwd=folder) as server:
        connection = server.connect()
        connection.request("GET", "/")
        server.line("in\n")
        server.send(signal.SIGINT)
        server.line("Finishing 1 request. Press Ctrl+C again to stop at once.")
        (folder / "gate").write_text("")
        assert connection.getresponse().read() == b"done"
        connection.close()
        assert server.wait() == 0


@pytest.mark.parametrize("how", [(), ("--no-supervisor",)])
def test_ctrl_c_while_the_application_is_loading_is_quiet(
    folder: Path, how: tuple[str, ...]
) -> None:
    os.mkfifo(folder / "gate")
    (folder / "slow.py").write_text("import os\nos.write(1, b'in\\n')\nopen('gate').read()\n")
    with Running("run", "slow", "-p", "0", *how, cwd=folder) as server:
        server.line("in\n")
        assert server.stop(signal.SIGINT) == 0
        assert "Traceback" not in server.text()


def test_a_broken_application_is_shown_with_its_own_frames_only(folder: Path) -> None:
    (folder / "broken.py").write_text("import json\njson.loads('{')\n")
    with Running("run", "broken", "-p", "0", cwd=folder) as server:
        assert server.wait() == 1
        text = server.text()
        assert text.count("JSONDecodeError") == 1
        assert "broken.py" in text and "decoder.py" not in text and "carboy/" not in text


DJANGO = """
import os
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
settings.configure(SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
urlpatterns = [path("", lambda request: HttpResponse(f"django {request.method}"))]
application = get_wsgi_application()
"""
FALCON = """
import falcon
class Hello:
    def on_get(self, request, response):
        response.text = "falcon " + request.method
application = falcon.App()
application.add_route("/", Hello())
"""
FLASK = """
from flask import Flask, request
site = Flask(__name__)
@site.get("/")
def hello():
    return f"flask {request.method}"
"""


@pytest.mark.parametrize(
    ("name", "text"), [("django", DJANGO), ("falcon", FALCON), ("flask", FLASK)]
)
def test_real_applications_run_unchanged(folder: Path, name: str, text: str) -> None:
    (folder / "wsgi.py").write_text(text)
    with Running("run", "-p", "0", "-w", "2", cwd=folder) as server:
        assert server.get() == (200, f"{name} GET".encode())
        assert server.stop() == 0


def test_another_wsgi_application_is_served_without_importing_the_framework(folder: Path) -> None:
    (folder / "look.py").write_text(
        "import sys\nWANT = 'carboy.app carboy.http carboy.dev jinja2 ssl http.server'.split()\n"
        "def app(environ, start):\n start('200 OK', [])\n"
        " return [repr([name for name in WANT if name in sys.modules]).encode()]\n"
    )
    with Running("run", "look", "-p", "0", cwd=folder, fresh=True) as server:
        assert server.get() == (200, b"[]")


@pytest.mark.parametrize(
    ("options", "line", "had"),
    [
        ([], "from site_code.views import site", True),
        (["--flask"], "from flask import Flask", True),
        ([], "def site(_, start):\n start('200 OK', [])\n return [str(HAD).encode()]", False),
    ],
)
def test_workers_share_the_framework_if_the_application_imports_it(
    folder: Path, options: list[str], line: str, had: bool
) -> None:
    code = "site = Flask(__name__)\nsite.get('/')(lambda: str(HAD))\n"
    head = "import sys\nHAD = 'carboy.app.app' in sys.modules\n"
    (folder / "site_code").mkdir()
    (folder / "site_code" / "__init__.py").touch()
    (folder / "site_code" / "views.py").write_text(f"{head}from carboy import Flask\n{code}")
    (folder / "look.py").write_text(f"{head}{line}\n{code if 'Flask' in line else ''}")
    with Running("run", *options, "look:site", "-p", "0", cwd=folder, fresh=True) as server:
        assert server.get() == (200, str(had).encode())


def test_the_group_is_a_click_command() -> None:
    assert isinstance(make_group(), click.Group)
