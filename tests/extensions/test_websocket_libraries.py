"""Libraries that bring their own WebSocket to WSGI applications, unchanged, with real clients."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import simple_websocket
import socketio

from running import PATIENCE, Running

SOCKETIO = """
from flask import Flask, request
from flask_socketio import SocketIO, emit, join_room

app = Flask(__name__)
app.secret_key = "secret"
socketio = SocketIO(app, async_mode="threading")

@socketio.on("connect")
def connected():
    emit("welcome", request.args.get("transport"))

@socketio.on("join")
def join(room):
    join_room(room)
    return f"joined {room}"

@socketio.on("say")
def say(room, text):
    emit("said", text, to=room)

@app.get("/")
def index():
    return "hello"

if __name__ == "__main__":
    socketio.run(app, port=0, allow_unsafe_werkzeug=True)
"""
ASGI = """
import socketio

server = socketio.AsyncServer(async_mode="asgi")
app = socketio.ASGIApp(server)

@server.event
async def connect(sid, environ):
    await server.emit("welcome", "websocket", to=sid)

@server.event
async def join(sid, room):
    await server.enter_room(sid, room)
    return f"joined {room}"

@server.event
async def say(sid, room, text):
    await server.emit("said", text, room=room)
"""
SOCK = """
import threading

from flask import Flask
from flask_sock import Sock

app = Flask(__name__)
sock = Sock(app)
meeting = threading.Barrier(16)

@sock.route("/echo")
def echo(ws):
    while True:
        ws.send(ws.receive())

@app.get("/meet")
def meet():
    meeting.wait(60)
    return "met"
"""
SCRIPT = ("-m", "carboy.compat", "app.py")
CARBOY = ("-m", "carboy")
WAYS = {
    "carboy run": (CARBOY, ("run", "--flask", "app:app", "-p", "0"), SOCKETIO),
    "carboy run, real Flask": (CARBOY, ("run", "app:app", "-p", "0"), SOCKETIO),
    "socketio.run()": (SCRIPT, (), SOCKETIO),
    "carboy run, ASGI": (CARBOY, ("run", "app:app", "-p", "0"), ASGI),
}


@contextmanager
def user(url: str, room: str) -> Iterator[tuple[Any, list[Any]]]:
    """A Socket.IO client that has joined a room, and what it hears."""
    client = socketio.Client(reconnection=False)
    heard: list[Any] = []
    came = threading.Semaphore(0)

    def note(value: Any) -> None:
        heard.append(value)
        came.release()

    client.on("welcome", note)
    client.on("said", note)
    client.connect(url, transports=["websocket"], wait_timeout=PATIENCE)
    try:
        assert came.acquire(timeout=PATIENCE)
        assert heard == ["websocket"]
        heard.clear()
        assert client.call("join", room, timeout=PATIENCE) == f"joined {room}"
        client.came = came
        yield client, heard
    finally:
        client.disconnect()


@pytest.mark.parametrize("way", WAYS)
def test_socketio_speaks_websocket(way: str, tmp_path: Path) -> None:
    command, args, text = WAYS[way]
    (tmp_path / "app.py").write_text(text)
    with Running(*args, cwd=tmp_path, command=command) as server:
        url = "http://{}:{}".format(*server.address())
        with user(url, "tea") as (ann, for_ann), user(url, "tea") as (bob, for_bob):
            with user(url, "coffee") as (_, for_eve):
                ann.emit("say", ("tea", "hello"))
                for each in (ann, bob):
                    assert each.came.acquire(timeout=PATIENCE)
                assert (for_ann, for_bob, for_eve) == (["hello"], ["hello"], [])
        assert "Traceback" not in server.text()


def test_a_hundred_flask_sock_connections_leave_the_crew_its_threads(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(SOCK)
    args = ("run", "--flask", "app:app", "-p", "0", "--threads", "16", "--no-supervisor")
    with Running(*args, cwd=tmp_path) as server, ExitStack() as stack:
        address = "{}:{}".format(*server.address())
        clients = []
        for _ in range(100):
            client = simple_websocket.Client.connect(f"ws://{address}/echo")
            stack.callback(client.close)
            clients.append(client)
        for number, client in enumerate(clients):
            client.send(str(number))
        for number, client in enumerate(clients):
            assert client.receive(timeout=PATIENCE) == str(number)
        # Sixteen requests meet, so each of the sixteen threads is free.
        found: list[Any] = []
        threads = [
            threading.Thread(target=lambda: found.append(server.get("/meet"))) for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert found == [(200, b"met")] * 16
