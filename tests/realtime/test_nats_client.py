"""The thread and the loop of a NATS connection."""

from __future__ import annotations

import asyncio
import threading

import pytest

from carboy.engine_url import parse
from carboy.realtime.engine import EngineError
from carboy.realtime.engines import nats_client
from carboy.realtime.engines.nats_client import NatsClient
from running import PATIENCE


def test_work_that_never_ends_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop may have been stopped by another thread, or a connection may not close."""
    monkeypatch.setattr(nats_client, "LIMIT", 0.05)
    client = NatsClient(parse("nats://127.0.0.1:1"), lambda: None)
    errors: list[Exception] = []

    def use() -> None:
        try:
            client._run(asyncio.sleep(PATIENCE * 10))
        except EngineError as error:
            errors.append(error)

    thread = threading.Thread(target=use, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    client.end()
    assert not thread.is_alive()
    assert "NATS at nats://127.0.0.1:1 cannot be used: TimeoutError" in str(errors[0])
