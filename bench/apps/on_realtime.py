"""Broadcasts with views of Carboy: the server holds the connections."""

from bench.apps import payload
from carboy import Flask, hold, publish, request, subscribers
from carboy.realtime.held import Hold

app = Flask(__name__)
CHANNEL = "all"


@app.get("/")
def hello() -> str:
    return payload.HELLO


def echo(held: Hold, message: str | bytes) -> None:
    """Send a message of a WebSocket client back."""
    held.send(message)


@app.get("/events")
@app.route("/subscribe", websocket=True)
@app.route("/echo", websocket=True)
def subscribe():  # type: ignore[no-untyped-def]
    return hold(CHANNEL, on_message=echo)


@app.post("/publish")
def send() -> tuple[str, int]:
    publish(CHANNEL, request.get_data(as_text=True))
    return "", 204


@app.get("/subscribers")
def count() -> str:
    return str(subscribers(CHANNEL).count)
