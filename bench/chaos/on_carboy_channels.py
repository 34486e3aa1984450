"""The application on Carboy, with a view that publishes a message."""

import carboy
from bench.chaos.views import build

app: carboy.Carboy = build(carboy)


@app.get("/announce/<text>")
def announce(text: str) -> str:
    carboy.publish("news", text)
    return f"announced {text}"
