"""The calls of the HTTP machine that a connection makes while it is recorded."""

from __future__ import annotations

from typing import Any

from carboy.dev.explain.wire_recording import WireRecorder
from live_engine import served

HEAD = (
    b"POST / HTTP/1.1\r\nHost: example.test\r\nContent-Length: 5\r\n"
    b"Expect: 100-continue\r\nConnection: close\r\n\r\n"
)


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["wsgi.input"].read()]


def test_a_body_that_comes_after_its_head_is_recorded() -> None:
    recorder = WireRecorder()
    recorder.install()
    try:
        with served(echo) as live, live.client() as client:
            client.send(HEAD)
            assert client.until(b"\r\n\r\n").startswith(b"HTTP/1.1 100")
            client.send(b"hello")
            assert client.rest().endswith(b"hello")
    finally:
        recorder.uninstall()
    received = [call.args[0] for call in recorder.calls if call.method == "receive"]
    assert b"".join(received) == HEAD + b"hello"
