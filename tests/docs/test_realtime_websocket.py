"""The programs in the section WebSocket of docs/realtime.md run."""

from __future__ import annotations

import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from carboy.testing import WebSocketRefused
from running import PATIENCE, Running

PAGE = (Path(__file__).parents[2] / "docs" / "realtime.md").read_text()
SECTION = PAGE.partition("\n## WebSocket\n")[2].partition("\n## ")[0]
PROGRAMS = re.findall(r"^```python\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
NAMED = {found[1]: text for text in PROGRAMS if (found := re.match(r"# (\w+\.py)\n", text))}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, text in NAMED.items():
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in NAMED:
        sys.modules.pop(name.removesuffix(".py"), None)


def client_of(folder: Path, name: str) -> Any:
    return runpy.run_path(str(folder / name))["app"].test_client()


WAYS = {
    "carboy run": (("-m", "carboy"), ("run", "chat:app", "--port", "0", "--no-supervisor")),
    "carboy dev": (("-m", "carboy"), ("dev", "chat:app", "--port", "0")),
    "app.run()": (("-c", "from chat import app; app.run(port=0, debug=True)"), ()),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_first_program_is_served(folder: Path, way: str) -> None:
    command, args = WAYS[way]
    with Running(*args, cwd=folder, command=command) as server:
        with connect("ws://{}:{}/echo/tea".format(*server.address())) as ws:
            assert ws.recv(PATIENCE) == "127.0.0.1 has entered tea."
            ws.send("hello")
            assert ws.recv(PATIENCE) == "hello"


def test_the_example_of_a_test_passes(folder: Path) -> None:
    (text,) = (text for text in PROGRAMS if "def test_echo" in text)
    (folder / "test_chat.py").write_text(text)
    runpy.run_path(str(folder / "test_chat.py"))["test_echo"]()


def test_a_handler_refuses_and_saves_the_session(folder: Path) -> None:
    client = client_of(folder, "members.py")
    with pytest.raises(WebSocketRefused) as refused:
        client.websocket("/news")
    assert refused.value.response.status_code == 401
    with client.session_transaction() as session:
        session["user"] = "Ann"
    for visits in (1, 2):
        with client.websocket("/news", subprotocols=["news.v1"]) as ws:
            assert ws.receive_json() == {"visits": visits, "subprotocol": "news.v1"}


def test_each_style_of_handler_answers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    client = client_of(folder, "styles.py")
    for path, expected in (("coroutine", "a"), ("generator", "1: a"), ("events", "a")):
        with client.websocket(f"/{path}") as ws:
            ws.send("a")
            assert ws.receive() == expected
    assert capsys.readouterr().out == "1 messages have come.\nClosed with 1000.\n"


def test_the_setting_of_origins_is_valid(folder: Path) -> None:
    (text,) = (text for text in PROGRAMS if "WEBSOCKET_ORIGINS" in text)
    app = runpy.run_path(str(folder / "chat.py"))["app"]
    exec(text, {"app": app})  # noqa: S102 — the documentation is our own
    headers = {"Origin": "https://a.example.org"}
    with app.test_client().websocket("/echo/tea", headers=headers) as ws:
        assert ws.receive() == "127.0.0.1 has entered tea."
