"""The memory of connections that stay open without work: measured in a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
MOST = 4096  # bytes for each held stream, or upgraded connection, in the engine
NUMBER = 1000
HEAD = (
    b"GET /events HTTP/1.1\r\nHost: example.test\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
    b"Accept-Language: en-US,en;q=0.9\r\nCookie: session=abcdefghijklmnopqrstuvwxyz%d\r\n"
    b"Connection: Upgrade\r\nUpgrade: echo\r\n\r\n"
)
SERVER = """
import gc, os, sys, threading
sys.path.insert(0, sys.argv[1])
from live_channels import served_channels

class Receiver:
    __slots__ = ("channel",)

    def begin(self, channel):
        self.channel = channel
        if sys.argv[2] == "upgraded":
            channel.upgrade("101 Switching Protocols", [("Upgrade", "echo")])
        else:
            channel.head("200 OK", [("Content-Type", "text/event-stream")])
            channel.send(b": hello")

    def changed(self):
        pass

def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

with served_channels(lambda exchange: Receiver()) as live:
    print(live.port, flush=True)
    for _ in sys.stdin:
        print(resident(), flush=True)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
@pytest.mark.parametrize("kind", ["held", "upgraded"])
def test_an_open_connection_without_work_takes_at_most_four_kib(kind: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(TESTS), kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        port = int(server.stdout.readline())
        clients: list[socket.socket] = []

        def resident(more: int) -> int:
            for number in range(more):
                client = socket.create_connection(("127.0.0.1", port), 60)
                clients.append(client)
                client.sendall(HEAD % number)
                assert client.recv(1000).startswith(b"HTTP/1.1 ")
            server.stdin.write("\n")
            server.stdin.flush()
            return int(server.stdout.readline())

        try:
            before = resident(300)  # what the first connections load and make is not theirs
            after = resident(NUMBER)
        finally:
            for client in clients:
                client.close()
            server.stdin.close()
            server.stdout.read()
        assert (after - before) / NUMBER < MOST
