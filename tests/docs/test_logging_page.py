"""The programs of docs/logging.md run."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from carboy import log_fields
from carboy.server.logs.atoms import NAMES
from documented import Page, plan_of
from live_engine import served

PAGE = Page("logging.md")


@pytest.fixture(autouse=True)
def without_handlers() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


def program(name: str) -> Any:
    log_fields.install()  # as each worker does
    logging.getLogger().handlers.clear()  # those of pytest
    namespace: dict[str, Any] = {"__name__": name}
    exec(PAGE.programs[name], namespace)
    return namespace["app"]


def test_log_records_have_the_id(capsys: pytest.CaptureFixture[str]) -> None:
    with served(program("named.py"), trusted_proxies=("127.0.0.1",)) as live:
        live.get(**{"X-Request-ID": "report-4711"})
    assert "INFO report-4711 A page was asked for.\n" in capsys.readouterr().err


def test_every_field_of_a_format_is_explained() -> None:
    table = PAGE.text.partition("### Fields")[2].partition("### Fewer lines")[0]
    assert [name for name in NAMES if f"`{name}`" not in table] == []


@pytest.mark.parametrize("command", PAGE.commands)
def test_a_command_is_accepted(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert plan_of(command, monkeypatch).access_log_format.startswith("%(h)s %(l)s")


def test_a_trace_is_passed_on_to_another_service() -> None:
    def other(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["HTTP_TRACEPARENT"].encode()]

    app = program("passing.py")
    trace = "0af7651916cd43dd8448eb211c80319c"
    with contextlib.ExitStack() as stack:
        app.config["OTHER"] = f"http://127.0.0.1:{stack.enter_context(served(other)).port}/"
        live = stack.enter_context(served(app))
        answer = live.get(traceparent=f"00-{trace}-b7ad6b7169203331-01").body.decode()
    assert answer.startswith(f"00-{trace}-") and answer.endswith("-01")
