"""A chat with plain views: rooms, presence, history, a typing indicator and a live chart.

carboy run chat --workers 2
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from carboy import (
    Carboy,
    Event,
    abort,
    channel,
    channel_history,
    hold,
    publish,
    redirect,
    render_template,
    request,
    session,
    subscribers,
    url_for,
)

ROOMS = ("kitchen", "garden", "workshop")
LONGEST_NAME = 24
LONGEST_TEXT = 2000
LONGEST_KEY = 80
PULSE_SECONDS = 180

app = Carboy(__name__)
app.config.update(
    SECRET_KEY=os.environ.get("CHAT_SECRET_KEY", "for this example only"),
    SESSION_COOKIE_NAME="chat",
    SESSION_COOKIE_SAMESITE="Lax",
)
channel("room:*", history=200, seconds=24 * 3600)
channel("people:*", history=0, presence=True)
channel("typing:*", history=0)
channel("pulse", history=5000, seconds=PULSE_SECONDS)


# --- names and pages


def my_name() -> str:
    """The name of this visitor. Without one, the request ends with a 401."""
    name = session.get("name")
    if not name:
        abort(401)
    return str(name)


@app.route("/", methods=["GET", "POST"])
def enter() -> Any:
    error = None
    if request.method == "POST":
        name = " ".join(request.form["name"].split())
        if 0 < len(name) <= LONGEST_NAME and name.isprintable():
            session["name"] = name
        else:
            error = f"A name has 1 to {LONGEST_NAME} characters."
    if error is None and session.get("name"):
        return redirect(url_for("show_room", room=ROOMS[0]))
    return render_template("enter.html", error=error), 400 if error else 200


@app.post("/leave")
def leave() -> Any:
    session.clear()
    return redirect(url_for("enter"))


@app.url_value_preprocessor
def check_room(endpoint: str | None, values: dict[str, Any] | None) -> None:
    if values and values.get("room", ROOMS[0]) not in ROOMS:
        abort(404)


@app.get("/rooms/<room>")
def show_room(room: str) -> Any:
    if not session.get("name"):
        return redirect(url_for("enter"))
    return render_template("room.html", room=room, rooms=ROOMS, name=my_name())


# --- messages


@app.post("/rooms/<room>/messages")
def say(room: str) -> Any:
    """Publish a message. The browser sends it again, with the same key, until it has a response."""
    name = my_name()
    sent = request.get_json()
    if not isinstance(sent, dict):
        return "A message is a JSON object.", 400
    text, key = (str(sent.get(each, "")).strip() for each in ("text", "key"))
    if not text or len(text) > LONGEST_TEXT:
        return f"A message has 1 to {LONGEST_TEXT} characters.", 400
    if not key or len(key) > LONGEST_KEY:
        return "A message needs a key.", 400
    now = time.time()
    message = {"key": key, "name": name, "text": text, "at": now}
    found = publish(f"room:{room}", message, event="said")
    publish("pulse", str(int(now)), event="sent")
    return {"id": found.id}


@app.get("/rooms/<room>/live")
def live(room: str) -> Any:
    """The room as it happens: messages, who comes and goes, and who is typing."""
    return hold(f"room:{room}", f"people:{room}", f"typing:{room}", name=my_name(), retry=0.5)


@app.post("/rooms/<room>/typing")
def typing(room: str) -> Any:
    publish(f"typing:{room}", {"name": my_name()}, event="typing")
    return "", 204


@app.get("/rooms/<room>/history")
def history(room: str) -> Any:
    my_name()
    return [json.loads(each.data) for each in channel_history(f"room:{room}").messages]


@app.get("/rooms/<room>/people")
def people(room: str) -> Any:
    my_name()
    return sorted(subscribers(f"people:{room}").names)


# --- the chart


@app.get("/pulse")
def pulse() -> Any:
    """The times at which messages were sent in any room: first those of the last minutes."""
    my_name()
    if request.headers.get("Last-Event-ID"):
        return hold("pulse", retry=0.5)
    kept = channel_history("pulse").messages
    initial = [Event(each.data, event="sent") for each in kept]
    return hold("pulse", initial=initial, last_event_id=kept[-1].id if kept else None, retry=0.5)
