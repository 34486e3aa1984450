"""Static files of an application without the view: the same answers, byte for byte, as with it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import carboy
from carboy.app import signals, static_lane
from live_engine import Client, served

TEXT = b"body { color: red }\n" * 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "site.css").write_bytes(TEXT)
    (tmp_path / "static" / "packed.tar.gz").write_bytes(b"packed")
    os.utime(tmp_path / "static" / "site.css", (time.time() - 50, time.time() - 50))
    return tmp_path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of requests that were answered without the view."""
    assert not vars(carboy.Carboy.session_interface), "a test has changed what applications share"
    for name in static_lane.SIGNALS:  # without receivers that other tests have connected
        monkeypatch.setattr(getattr(signals, name), "receivers", {})
    found: list[str] = []
    original = static_lane.answer

    def answer(app: Any, plan: Any, exchange: Any, rule: Any) -> Any:
        made = original(app, plan, exchange, rule)
        if made is not None:
            found.append(exchange.head.path)
        return made

    monkeypatch.setattr("carboy.app.static_lane.answer", answer)
    return found


def application(folder: Path, **config: Any) -> carboy.Carboy:
    app = carboy.Carboy("static-lane", root_path=str(folder))
    app.config.update(config)
    return app


def raw(
    client: Client, path: str = "/static/site.css", method: str = "GET", **fields: str
) -> bytes:
    """A whole response, without what differs by the second."""
    client.request(method, path, {k.replace("_", "-"): v for k, v in fields.items()})
    head = client.until(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    size = int(length[1]) if length and method == "GET" and b" 304 " not in head else 0
    body = client.file.read(size)
    # The first response of a process may have Content-Length at another place.
    lines = sorted(re.sub(rb"(Date|Expires): [^\r]*", rb"\1: x", head).split(b"\r\n"))
    return b"\r\n".join(lines) + body


@pytest.mark.parametrize(
    "config",
    [{}, {"SEND_FILE_MAX_AGE_DEFAULT": 60}, {"SECRET_KEY": "k"}],
    ids=["plain", "max age", "sessions"],
)
def test_the_answers_are_those_of_the_view(
    folder: Path, config: dict[str, Any], quick: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(application(folder, **config)) as live, live.client() as client:
        first = raw(client)
        tag = re.search(rb"ETag: ([^\r]*)", first)
        assert tag is not None
        requests: list[dict[str, str]] = [
            {},
            {"If_None_Match": tag[1].decode()},
            {
                "If_None_Match": tag[1].decode(),
                "If_Modified_Since": "Mon, 01 Jan 1990 00:00:00 GMT",
            },
            {"If_None_Match": '"other"'},
            {"If_None_Match": f'"other", {tag[1].decode()}'},
            {"If_Match": '"other"'},
            {"Range": "bytes=0-9"},
            {"If_Modified_Since": "Mon, 01 Jan 2035 00:00:00 GMT"},
            {"Cookie": "theme=dark"},
            {"Accept": "*/*", "X-Other": "if-match: x"},
        ]
        paths = ["/static/site.css", "/static/packed.tar.gz", "/static/missing.css"]
        asked = [(path, each) for path in paths for each in requests]
        found = [[raw(client, path, **each) for path, each in asked] for _ in range(3)]
        heads = [raw(client, method="HEAD") for _ in range(3)]
    assert quick.count("/static/site.css") >= 12
    assert "/static/packed.tar.gz" in quick
    monkeypatch.setattr("carboy.app.static_lane.answer", lambda *args: None)
    with served(application(folder, **config)) as live, live.client() as client:
        expected = [raw(client, path, **each) for path, each in asked]
        assert raw(client, method="HEAD") == heads[0] == heads[2]
    assert found == [expected] * 3


def test_the_date_and_the_end_of_freshness_are_current(
    folder: Path, quick: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(application(folder, SEND_FILE_MAX_AGE_DEFAULT=60)) as live:
        live.get("/static/site.css")
        monkeypatch.setattr("carboy.app.static_lane.time.time", lambda: 1_000_000_000.0)
        reply = live.get("/static/site.css")
    assert quick
    assert reply.headers["Date"] == "Sun, 09 Sep 2001 01:46:40 GMT"
    assert reply.headers["Expires"] == "Sun, 09 Sep 2001 01:47:40 GMT"


def test_a_changed_or_deleted_file_is_noticed(folder: Path, quick: list[str]) -> None:
    path = folder / "static" / "site.css"
    with served(application(folder)) as live:
        for number in range(3):
            content = b"%d" % number * (number + 1)
            path.write_bytes(content)
            assert live.get("/static/site.css").body == content
        assert not quick
        live.get("/static/site.css")
        assert len(quick) == 1
        path.unlink()
        assert live.get("/static/site.css").status == 404


def _before(app: carboy.Carboy) -> None:
    app.before_request_funcs[None] = [lambda: ("stopped", 403)]


def _after(app: carboy.Carboy) -> None:
    def change(response: Any) -> Any:
        response.headers["X-After"] = "1"
        return response

    app.after_request_funcs[None] = [change]


def _view(app: carboy.Carboy) -> None:
    app.view_functions["static"] = lambda filename: filename


def _method(app: carboy.Carboy) -> None:
    app.send_static_file = lambda filename: filename  # type: ignore[method-assign]


def _age(app: carboy.Carboy) -> None:
    app.get_send_file_max_age = lambda filename: 7  # type: ignore[method-assign]


def _config(app: carboy.Carboy) -> None:
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 9


def _folder(app: carboy.Carboy) -> None:
    app.static_folder = "elsewhere"


def _class(app: carboy.Carboy) -> None:
    class Own(carboy.Carboy):
        def send_static_file(self, filename: str) -> Any:
            return "own"

    app.__class__ = Own


def _response(app: carboy.Carboy) -> None:
    class Own(carboy.Response):
        default_mimetype = "text/x"

    app.response_class = Own


CHANGES = (_before, _after, _view, _method, _age, _config, _folder, _class, _response)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_of_the_application_takes_effect(
    folder: Path, change: Callable[[carboy.Carboy], None], quick: list[str]
) -> None:
    fresh = application(folder)
    change(fresh)
    with served(fresh) as live, live.client() as client:
        expected = raw(client)
    app = application(folder)
    with served(app) as live, live.client() as client:
        before = [raw(client) for _ in range(2)]
        assert len(quick) == 1
        change(app)
        after = [raw(client) for _ in range(2)]
    assert after == [expected] * 2
    if change is not _response:
        assert after[0] != before[0]


def test_a_receiver_of_a_signal_is_called(folder: Path, quick: list[str]) -> None:
    seen: list[Any] = []

    def receive(sender: Any, **extra: Any) -> None:
        seen.append(sender)

    app = application(folder)
    with served(app) as live:
        for _ in range(2):
            live.get("/static/site.css")
        assert len(quick) == 1
        with carboy.request_started.connected_to(receive, app):
            live.get("/static/site.css")
    assert len(seen) == 1


def test_files_of_a_blueprint_are_answered_in_the_same_way(folder: Path, quick: list[str]) -> None:
    app = carboy.Carboy("no-static", static_folder=None, root_path=str(folder))
    shop = carboy.Blueprint(
        "shop", __name__, static_folder="static", url_prefix="/shop", root_path=str(folder)
    )
    app.register_blueprint(shop)
    with served(app) as live, live.client() as client:
        answers = {raw(client, "/shop/static/site.css") for _ in range(3)}
    assert len(answers) == 1
    assert len(quick) == 2


def test_a_view_with_a_filename_of_its_own_is_called_each_time(
    folder: Path, quick: list[str]
) -> None:
    app = application(folder)
    calls: list[str] = []

    @app.get("/files/<filename>")
    def files(filename: str) -> Any:
        calls.append(filename)
        return carboy.send_file(folder / "static" / filename)

    with served(app) as live:
        for _ in range(3):
            assert live.get("/files/site.css").body == TEXT
    assert len(calls) == 3
    assert not quick
