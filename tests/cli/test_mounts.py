"""The option --mount: applications beside each other, as a user starts them."""

from __future__ import annotations

import json
import re
import signal
import sys
from pathlib import Path

import click
import pytest

from carboy.cli.locate import NoApplication
from carboy.cli.mounts import MountType, load
from running import Running, carboy

SHOP = """\
from carboy import Carboy, request

app = Carboy(__name__)

@app.get("/")
@app.get("/<path:rest>")
def shop(rest=""):
    return f"shop {request.root_path} {request.path}"
"""
API = """\
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        print("started\\n", end="", flush=True)  # in one piece: workers share the pipe
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("ended\\n", end="", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    text = f"api {scope['root_path']} {scope['path']}"
    await send({"type": "http.response.body", "body": text.encode()})
"""
ADMIN = """\
def application(environ, start_response):
    start_response("200 OK", [])
    return [f"admin {environ['SCRIPT_NAME']} {environ['PATH_INFO']}".encode()]

def either(*args):
    return application(*args)
"""
MOUNTS = ("--mount", "/api=api:app", "--mount", "/admin=admin:application")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("shop", SHOP), ("api", API), ("admin", ADMIN)):
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


def check(server: Running) -> None:
    assert server.get("/x") == (200, b"shop  /x")
    assert server.get("/api/x") == (200, b"api /api /api/x")
    assert server.get("/admin/x") == (200, b"admin /admin /x")


@pytest.mark.parametrize("options", [("--no-supervisor",), ("--workers", "2")], ids=" ".join)
def test_three_kinds_of_applications_are_served_and_stopped(
    options: tuple[str, ...], folder: Path
) -> None:
    with Running("run", "shop:app", *MOUNTS, "--port", "0", *options, cwd=folder) as server:
        check(server)
        server.line("is serving shop:app, api:app at /api, admin:application at /admin")
        server.line('"GET /admin/x HTTP/1.1" 200')
        assert server.stop() == 0
        server.line("ended", 2 if options[0] == "--workers" else 1)


def test_a_reload_serves_the_new_code_of_a_mount(folder: Path) -> None:
    with Running("run", "shop:app", *MOUNTS, "--port", "0", cwd=folder) as server:
        check(server)
        (folder / "api.py").write_text(API.replace('f"api', 'f"newer'))
        server.send(signal.SIGHUP)
        server.line("ended")
        assert server.get("/api/x") == (200, b"newer /api /api/x")


def test_the_variable_and_the_project_file_mount_too(folder: Path) -> None:
    both = "/api=api:app /admin=admin:application"
    options = ("--port", "0", "--no-supervisor")
    with Running("run", "shop:app", *options, cwd=folder, env={"CARBOY_MOUNT": both}) as server:
        check(server)
    project = folder / "pyproject.toml"
    project.write_text('[tool.carboy]\nmount = ["/api=api:app", "/admin=admin:application"]\n')
    with Running("run", "shop:app", *options, cwd=folder) as server:
        check(server)
    project.write_text('[tool.carboy.mount]\n"/api" = "api:app"\n"/admin" = "admin:application"\n')
    with Running("run", "shop:app", *options, cwd=folder) as server:
        check(server)


def test_without_an_application_other_paths_are_not_found(folder: Path) -> None:
    options = ("--mount", "/admin=wsgi+admin:either", "--port", "0", "--no-supervisor")
    with Running("run", *options, cwd=folder) as server:
        assert server.get("/x")[0] == 404
        assert server.get("/admin/x") == (200, b"admin /admin /x")
        server.line("is serving admin:either at /admin")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("api=api:app", "The prefix 'api' does not start with a slash."),
        ("/api", "'/api' is not PREFIX=APP. Write it like /api=api:app."),
        ("/api=", "'/api=' is not PREFIX=APP."),
        ("/api=wsgi+", "'/api=wsgi+' is not PREFIX=APP."),
        ("/=api:app", "is that of the root application."),
    ],
)
def test_an_option_that_cannot_be_read_is_an_error(given: str, said: str) -> None:
    with pytest.raises(click.BadParameter, match=re.escape(said)):
        MountType().convert(given, None, None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((("/api", "apu:app"),), "Did you mean 'api'? It is named in --mount /api=apu:app."),
        ((("/api", "api:ap"),), "Did you mean 'app'? It is named in --mount /api=api:ap."),
        ((("/a", "api:app"), ("/a", "api:app")), "Two applications are mounted at /a."),
        ((("/a", "api:app"), ("/%61/", "api:app")), "Two applications are mounted at /a."),
        ((("/api", "shop:app"),), "is mounted on itself, at /api."),
    ],
)
def test_an_application_that_cannot_be_mounted_is_an_error(
    given: tuple[tuple[str, str], ...], said: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    wanted = [(prefix, name, "auto") for prefix, name in given]
    try:
        with pytest.raises(NoApplication, match=re.escape(said)):
            load("shop:app", "auto", wanted)
    finally:
        for name in ("shop", "api"):
            sys.modules.pop(name, None)


def test_the_errors_end_the_command(folder: Path) -> None:
    options = ("run", "shop:app", "--port", "0", "--mount")
    assert "Error: Invalid value for '--mount': " in carboy(folder, *options, "api=x", code=2)
    assert "Did you mean 'api'?" in carboy(folder, *options, "/api=apu:app", code=1)


def test_a_lifespan_that_fails_ends_the_start_with_the_name_of_its_application(
    folder: Path,
) -> None:
    (folder / "api.py").write_text(API.replace("print(", "raise OSError  # ", 1))
    with Running("run", "shop:app", *MOUNTS, "--port", "0", cwd=folder) as server:
        assert server.wait() == 1
        assert "The application mounted at /api failed to start: Traceback" in server.text()


def test_serve_takes_mounted_applications(folder: Path) -> None:
    text = (
        "import carboy, admin, api, shop\nfrom carboy.server import serve\n"
        "app = carboy.mount(shop.app, {'/api': api.app, '/admin': admin.application})\n"
        "if __name__ == '__main__':\n    serve(app, port=0)\n"
    )
    (folder / "site_.py").write_text(text)
    with Running(cwd=folder, command=("site_.py",)) as server:
        server.line("Serving on")
        check(server)
    with Running("run", "site_:app", "--port", "0", "--no-supervisor", cwd=folder) as server:
        check(server)


def test_the_routes_of_all_applications_are_shown(folder: Path) -> None:
    (folder / "shop2.py").write_text(SHOP.replace("def shop", "def other"))
    mounts = ("--mount", "/api=api:app", "--mount", "/two=shop2:app")
    said = carboy(folder, "routes", "shop:app", *mounts)
    one, two, three = said.split("\n\n")
    assert one.startswith("/  shop:app\n")
    assert re.search(r"^shop +GET +/$", one, re.MULTILINE)
    assert two.startswith("/api  api:app\nThe routes of this application are not known.")
    assert three.startswith("/two  shop2:app\n")
    assert re.search(r"^other +GET +/<path:rest>$", three, re.MULTILINE)
    found = json.loads(carboy(folder, "routes", "shop:app", *mounts, "--json"))
    assert {"/two", "/"} == {each["mount"] for each in found}
    matched = carboy(folder, "routes", "shop:app", *mounts, "--match", "/two/x")
    assert matched.startswith("/two  shop2:app\n")
    assert "/<path:rest>" in matched
