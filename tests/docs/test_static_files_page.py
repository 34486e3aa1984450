"""The commands and programs of docs/static-files.md, run as they are."""

from __future__ import annotations

import importlib
import runpy
from pathlib import Path
from typing import Any

import pytest

from documented import Page, plan_of
from running import Running

PAGE = Page("static-files.md")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all files that the page names."""
    monkeypatch.chdir(tmp_path)
    for name in ("dist/assets", "media", "public"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "dist/assets/app.js").write_text("1")
    (tmp_path / "public/index.html").write_text("home")
    (tmp_path / "shop.py").write_text("def app(environ, start_response): ...\n")
    return tmp_path


@pytest.mark.parametrize("command", [*PAGE.commands, "carboy run shop:app"])
def test_the_commands_and_the_table_are_accepted(
    folder: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if command == "carboy run shop:app":
        PAGE.write_table()
    plan = plan_of(command, monkeypatch)
    settings = plan.settings
    wanted = (
        settings.static_files.static,
        settings.compression.compress,
        settings.response_cache.cache,
    )
    assert any(wanted)


def test_the_program_serves_with_these_settings(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[Any] = []
    module = importlib.import_module("carboy.server.serve")
    monkeypatch.setattr(module, "start", lambda plan, load: plans.append(plan) or 0)
    monkeypatch.syspath_prepend(str(folder))
    (folder / "serve.py").write_text(PAGE.programs["serve.py"])
    runpy.run_path("serve.py")
    files = plans[0].settings.static_files
    assert files.static == ("/assets=dist/assets",)
    assert files.static_max_age == 3600


def test_the_news_are_kept(folder: Path) -> None:
    (folder / "news.py").write_text(PAGE.programs["news.py"])
    with Running("run", "news:app", "--cache", "64m", "-p", "0", cwd=folder) as server:
        statuses = []
        for _ in range(2):
            connection = server.connect()
            connection.request("GET", "/news")
            reply = connection.getresponse()
            assert reply.read() == b"<h1>News</h1>"
            statuses.append(str(reply.headers["Cache-Status"]))
            connection.close()
    assert statuses[0] == "carboy; fwd=miss"
    assert statuses[1].startswith("carboy; hit; ttl=")


def test_the_report_is_kept(folder: Path) -> None:
    (folder / "report.py").write_text(PAGE.programs["report.py"])
    app = runpy.run_path("report.py")["app"]
    client = app.test_client()
    assert "Age" not in client.get("/report").headers
    kept = client.get("/report")
    assert (kept.text, kept.headers["Age"]) == ("<h1>Report</h1>", "0")
    assert kept.headers["Vary"] == "Accept-Language"
    assert client.post("/report").status_code == 204
    assert "Age" not in client.get("/report").headers


def test_the_development_server_ignores_these_settings(folder: Path) -> None:
    (folder / "shop.py").write_text(
        "from carboy import Carboy\napp = Carboy('shop')\n"
        "app.add_url_rule('/', 'page', lambda: ('x' * 5000, {'Cache-Control': 'max-age=60'}))\n"
    )
    (folder / "pyproject.toml").write_text(
        '[tool.carboy]\nstatic = ["/assets=dist/assets"]\ncompress = true\ncache = "1m"\n'
    )
    with Running("dev", "shop", "-p", "0", cwd=folder) as server:
        assert server.get("/assets/app.js")[0] == 404
        connection = server.connect()
        connection.request("GET", "/", headers={"Accept-Encoding": "gzip"})
        reply = connection.getresponse()
        assert reply.read() == b"x" * 5000
        assert "Cache-Status" not in reply.headers
        connection.close()


def test_a_folder_is_served_without_an_application(folder: Path) -> None:
    with Running("run", "--static", "/=public", "--static-index", "-p", "0", cwd=folder) as server:
        assert server.get("/") == (200, b"home")
        assert server.get("/missing")[0] == 404
        (folder / "public" / "new.txt").write_text("new")
        assert server.get("/new.txt") == (200, b"new")
        assert server.stop() == 0
    assert "is serving /=public" in server.text()
