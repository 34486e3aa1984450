"""The application on Carboy, with a WebSocket that returns its messages."""

import carboy
from bench.chaos.views import build

app: carboy.Carboy = build(carboy)


@app.websocket("/echo")
def echo(ws: carboy.WebSocket) -> None:
    for message in ws:
        ws.send(message)
