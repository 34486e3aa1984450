"""WebSocket and broadcasts with views of Carboy: the server holds the connections."""

from bench.apps import payload
from carboy import Flask, WebSocket, hold, publish, request, subscribers
from carboy.realtime.held import Hold

app = Flask(__name__)
CHANNEL = "all"


@app.get("/")
def hello() -> str:
    return payload.HELLO


@app.websocket("/echo")
def echo(ws: WebSocket) -> None:
    ws.on_message(ws.send)


def answer(held: Hold, message: str | bytes) -> None:
    """Show that the connection of a WebSocket client is open."""
    held.send(message)


@app.get("/events")
@app.route("/subscribe", websocket=True)
def subscribe():  # type: ignore[no-untyped-def]
    return hold(CHANNEL, on_message=answer)


@app.post("/publish")
def send() -> tuple[str, int]:
    publish(CHANNEL, request.get_data(as_text=True))
    return "", 204


@app.get("/subscribers")
def count() -> str:
    return str(subscribers(CHANNEL).count)
