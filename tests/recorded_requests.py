"""The events of a request, as the list of requests records them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from werkzeug.test import Client

from carboy.dev.debugger import DebuggedApplication
from carboy.dev.requests import Record, RequestList, Store


def recorded(view: Callable[[], object]) -> Record:
    """The record of a request for which a WSGI application calls `view`."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        view()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]

    return recorded_by(app)


def recorded_by(app: Any, path: str = "/") -> Record:
    """The record of a request to an application."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        client = Client(RequestList(app, store, DebuggedApplication(app)))
        client.get(path, buffered=True)
        [record] = store.all()
    in_order(record)
    return record


def in_order(record: Record) -> None:
    """Times never run backwards."""
    starts = [event.at for event in record.events]
    assert starts == sorted(starts)
    assert all(event.at >= 0 and event.took >= 0 for event in record.events)
    for kind, total in record.totals.items():
        of_kind = [event for event in record.events if event.kind == kind]
        assert total.ms <= sum(event.took for event in of_kind) + 0.01 * len(of_kind)


def told(record: Record, kind: str) -> list[str]:
    """Title and detail of the events of a kind."""
    return [f"{each.title} | {each.detail}" for each in record.events if each.kind == kind]
