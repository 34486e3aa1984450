"""Channel.send_chunk sends the same bytes as Channel.send."""

from __future__ import annotations

import re
from typing import Any

import pytest

from carboy.gateway.interface import ChannelClosed
from live_channels import Calls, Echo, served_channels, switch
from live_engine import eventually, served

PIECES = [b"first", b"x" * 70_000, b"\r\n"]


class Sends:
    """A gateway whose responses come in pieces, by `send` or by `send_chunk`."""

    def __init__(self, chunks: bool) -> None:
        self.chunks = chunks
        self.error: Exception | None = None

    def prepare(self, exchange: Any) -> str:
        return "key"

    def body_limit(self, exchange: Any) -> None:
        return None

    def wants_stream(self, exchange: Any) -> bool:
        return False

    def handle(self, exchange: Any) -> Any:
        return exchange.later(self)

    def begin(self, channel: Any) -> None:
        channel.head("200 OK", [("Date", "none")])
        for piece in PIECES:
            if self.chunks:
                channel.send_chunk(piece, b"%x\r\n%b\r\n" % (len(piece), piece))
            else:
                channel.send(piece)
        channel.finish()
        try:
            channel.send_chunk(b"x", b"1\r\nx\r\n")
        except ChannelClosed as error:
            self.error = error

    def changed(self) -> None:
        pass


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_framed_piece_is_sent_as_the_piece_is(version: str) -> None:
    request = f"GET / HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
    answers = []
    for chunks in (False, True):
        gateway = Sends(chunks)
        with served(None, gateway=gateway, record=True) as live:
            answers.append(live.ask(request))
            eventually(lambda: live.records)
            sizes = [record[5] for record in live.records]
        assert sizes == [sum(map(len, PIECES))]
        assert str(gateway.error) == "The response is complete already."
    assert answers[0] == answers[1]
    assert bool(re.search(b"\r\n11170\r\nx", answers[0])) == (version == "1.1")


def test_a_frame_for_many_websockets_is_sent_at_once() -> None:
    """Even if the leader sends what several channels have for their clients."""
    with Calls() as calls:
        made: list[Echo] = []

        def receiver(exchange: Any) -> Echo:
            made.append(Echo(calls.post))
            return made[-1]

        with served_channels(receiver, record=True) as live, live.client() as client:
            switch(client)
            channel: Any = made[0].channel
            live.engine.channels.together = True
            channel.send_chunk(b"\x81\x01a", b"\x81\x01a")
            assert channel.connection.unsent is None
            assert client.file.read(3) == b"\x81\x01a"
