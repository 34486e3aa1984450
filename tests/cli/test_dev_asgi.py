"""`carboy dev` with an ASGI application: it is reloaded, and errors are shown as pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from running import Running

APP = """\
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        print("started", flush=True)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("ended", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"old"})
"""


def test_a_saved_file_is_served_and_a_failure_is_a_page_until_it_is_corrected(
    tmp_path: Path,
) -> None:
    file = tmp_path / "app.py"
    file.write_text(APP)
    with Running("dev", "app:app", "--port", "0", cwd=tmp_path) as server:
        server.line("Ready in")
        assert server.get() == (200, b"old")

        file.write_text(APP.replace("old", "new"))
        server.line("reloaded in")
        server.line("ended")
        assert server.get() == (200, b"new")

        file.write_text(APP.replace('print("started", flush=True)', "raise OSError('no database')"))
        server.line("The application failed to start: Traceback")
        server.line("Save a file to start it again.")
        status, page = server.get()
        assert status == 500
        assert b"OSError: no database" in page

        file.write_text("1 / 0")
        server.line("ZeroDivisionError: division by zero. Save a file to try again.")
        assert server.get()[0] == 500

        file.write_text(APP.replace("old", "newest"))
        server.line("reloaded in", 2)
        assert server.get() == (200, b"newest")


def test_a_lifespan_that_fails_at_the_first_start_ends_the_command(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP.replace('print("started", flush=True)', "raise OSError"))
    with Running("dev", "app:app", "--port", "0", cwd=tmp_path) as server:
        assert server.wait() == 1
        assert "The application failed to start: Traceback" in server.text()


WSGI = """\
def app(environ, start_response):
    start_response("200 OK", [])
    return [environ["SCRIPT_NAME"].encode()]
"""


@pytest.mark.parametrize("options", [(), ("--no-warm",)], ids=str)
def test_mounted_applications_are_reloaded(options: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "api.py").write_text(APP)
    (tmp_path / "shop.py").write_text(WSGI)
    mounts = ("--mount", "/api=api:app", *options)
    with Running("dev", "shop:app", *mounts, "--port", "0", cwd=tmp_path) as server:
        server.line("Ready in")
        server.line("is serving shop:app, api:app at /api in development")
        assert server.get("/") == (200, b"")
        assert server.get("/api") == (200, b"old")
        (tmp_path / "api.py").write_text(APP.replace("old", "new"))
        server.line("started", 2)
        server.line("reloaded in" if not options else "has changed")
        assert server.get("/api") == (200, b"new")
