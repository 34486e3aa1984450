"""Settings of the server that `carboy dev` takes as `carboy run` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from carboy.cli.dev.serving import development_settings, serving_options
from carboy.server.trusted_proxies import APPLICATION
from running import Running

APP = """
import carboy
app = carboy.Flask(__name__)
count = 0

@app.get("/count")
def counted():
    global count
    count += 1
    return str(count), {"Cache-Control": "max-age=600", "Content-Type": "application/json"}

@app.get("/large")
def large():
    return "word " * 10_000, {"Content-Type": "application/json"}

@app.get("/client")
def client():
    return str(carboy.request.remote_addr)
"""
OPTIONS = ("--static", "/files=files", "--compress", "--cache", "1m", "--trusted-proxies")


def ask(server: Running, path: str, **fields: str) -> tuple[dict[str, str], bytes]:
    connection = server.connect()
    try:
        connection.request("GET", path, headers={k.replace("_", "-"): v for k, v in fields.items()})
        response = connection.getresponse()
        assert response.status == 200, (path, response.status)
        return {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    "more", [(), ("--no-warm",), ("--no-warm", "--no-reload")], ids=["warm", "portable", "alone"]
)
def test_files_compression_cache_and_proxies_are_those_of_run(
    tmp_path: Path, more: tuple[str, ...]
) -> None:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.txt").write_text("a file")
    options = (*OPTIONS, "127.0.0.1", *more)
    with Running("dev", "app", "-p", "0", *options, cwd=tmp_path) as server:
        assert ask(server, "/files/a.txt")[1] == b"a file"
        assert ask(server, "/large", Accept_Encoding="gzip")[0]["content-encoding"] == "gzip"
        assert ask(server, "/count")[1] == b"1"
        headers, body = ask(server, "/count")
        assert body == b"1"
        assert headers["cache-status"].startswith("carboy; hit")
        assert ask(server, "/client", X_Forwarded_For="192.0.2.1")[1] == b"192.0.2.1"
        assert server.stop() == 0


def test_the_application_decides_about_proxies_unless_the_option_is_given() -> None:
    nothing: dict[str, Any] = {}
    assert development_settings(nothing, 1.0).trust.trusted_proxies == (APPLICATION,)
    given = development_settings({"trusted_proxies": ("private",)}, 1.0)
    assert given.trust.trusted_proxies == ("private",)
    assert given.graceful_timeout == 1.0


def test_a_value_that_cannot_work_is_an_error_of_the_command_line() -> None:
    with pytest.raises(click.UsageError, match="--trusted-proxies"):
        development_settings({"trusted_proxies": ("nonsense!",)}, 1.0)


def test_the_options_have_the_names_of_run() -> None:
    names = {each.name for each in serving_options()}
    assert {"static", "compress", "cache", "trusted_proxies", "http2", "h2c"} <= names
