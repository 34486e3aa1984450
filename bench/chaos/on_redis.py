"""An application that uses Redis: sessions, a limit, and a channel. The URL is in SHARED_URL."""

from __future__ import annotations

import os

import carboy
import carboy.shared
from bench.chaos.views import build

app: carboy.Carboy = build(carboy)
app.config.update(
    SECRET_KEY="chaos",
    SESSION_TYPE="redis",
    SHARED_URL=os.environ["SHARED_URL"],
)
carboy.shared.Session(app)
carboy.channel("news", history=10_000)


@app.get("/log-in/<name>")
def log_in(name: str) -> str:
    carboy.session["name"] = name
    return f"logged in {name}"


@app.get("/name")
def name() -> str:
    return str(carboy.session.get("name"))


@app.get("/limited/<int:number>")
@carboy.limit("1000000/hour")
def limited(number: int) -> str:
    return f"limited {number}"


@app.get("/news")
def news() -> carboy.Response:
    return carboy.hold("news")


@app.get("/publish/<int:number>")
def publish(number: int) -> str:
    try:
        carboy.publish("news", str(number))
    except OSError:  # EngineError
        carboy.abort(503)
    return f"published {number}"
