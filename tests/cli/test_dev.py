"""`carboy dev`; its reloading is tested in tests/dev/test_reloading.py."""

from __future__ import annotations

import http.client
import ssl
from pathlib import Path

import pytest

from running import PATIENCE, Running

APP = """
import carboy
app = carboy.Flask(__name__)

@app.get("/")
def index():
    return f"debug {app.debug}"

@app.get("/fails")
def fails():
    raise LookupError("on purpose")

app.run()  # does nothing here
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def test_it_serves_in_debug_mode_with_the_debugger(folder: Path) -> None:
    with Running("dev", "-p", "0", cwd=folder) as server:
        assert server.get() == (200, b"debug True")
        status, page = server.get("/fails")
        assert status == 500
        assert b"LookupError: on purpose" in page
        assert b"EVALEX = true" in page
        server.line(" * Debugger PIN: ")


def test_its_tools_can_be_left_out(folder: Path) -> None:
    with Running("dev", "app", "-p", "0", "--no-reload", "--no-debugger", cwd=folder) as server:
        assert server.get() == (200, b"debug True")
        assert b"EVALEX" not in server.get("/fails")[1]
        assert server.stop() == 0
        assert "Restarting" not in server.text()


def test_it_speaks_tls_with_a_certificate_made_on_the_spot(folder: Path) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with Running("dev", "--cert", "adhoc", "--no-reload", "-p", "0", cwd=folder) as server:
        port = int(server.line("https://127.0.0.1:").rpartition(":")[2])
        connection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=PATIENCE, context=context
        )
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"debug True"
        connection.close()


@pytest.mark.parametrize(
    ("text", "told"),
    [("import nothing_like_it", "nothing_like_it"), ("app = (", "SyntaxError"), ("", "no appl")],
)
def test_an_application_that_does_not_load_is_told_at_the_start(
    folder: Path, text: str, told: str
) -> None:
    (folder / "app.py").write_text(text)
    with Running("dev", "-p", "0", cwd=folder) as server:
        assert server.wait() == 1
        assert told in server.text()
