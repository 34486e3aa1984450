"""An application with held streams, for tests that start servers."""

from __future__ import annotations

import os
import threading
from typing import Any

from carboy import (
    Carboy,
    Event,
    channel,
    channel_history,
    current_app,
    hold,
    make_response,
    publish,
    request,
    session,
    subscribers,
)
from carboy.middleware.proxy_fix import ProxyFix

app = Carboy(__name__)
app.secret_key = "test"
app.config["CHANNEL_HISTORY"] = 10
channel("short:*", history=2)
channel("seen:*", history=50, presence=True)
channel("long:*", history=10_000)


@app.after_request
def mark(response: Any) -> Any:
    response.headers["X-Worker"] = str(os.getpid())
    return response


@app.get("/events")
def events() -> Any:
    if request.args.get("token") == "wrong":
        return "You may not read this.", 403
    return hold(*request.args.getlist("channel"), name=request.args.get("name"))


@app.get("/events-async")
async def events_async() -> Any:
    return hold(*request.args.getlist("channel"))


@app.get("/events-with-more")
def events_with_more() -> Any:
    session["seen"] = True

    def opened(hold: Any) -> None:
        hold.send({"welcome": hold.name, "app": current_app.name}, event="opened")

    def closed(hold: Any) -> None:
        publish("log", f"{hold.name} closed")

    response = make_response(
        hold(
            "more",
            name="ann",
            keep_alive=1.0,
            retry=1.5,
            initial=["state"],
            on_open=opened,
            on_close=closed,
        )
    )
    response.set_cookie("colour", "blue")
    response.call_on_close(lambda: publish("log", "response closed"))
    return response


@app.post("/publish/<path:name>")
def send(name: str) -> Any:
    message = publish(
        name,
        request.get_data(as_text=True),
        event=request.args.get("event"),
        id=request.args.get("id"),
    )
    return {"id": message.id}


@app.post("/publish-thread/<path:name>")
def send_from_thread(name: str) -> Any:
    thread = threading.Thread(target=publish, args=(name, "from a thread"))
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    return ""


@app.post("/publish-async/<path:name>")
async def send_async(name: str) -> Any:
    return {"id": publish(name, "from a coroutine").id}


@app.get("/subscribers/<path:name>")
def present(name: str) -> Any:
    found = subscribers(name)
    return {"count": found.count, "names": dict(found.names)}


@app.get("/history/<path:name>")
def history(name: str) -> Any:
    return [each.data for each in channel_history(name).messages]


@app.route("/socket", websocket=True)
def socket() -> Any:
    def said(hold: Any, message: str) -> None:
        publish(hold.channels[0], f"{hold.name}: {message}")

    return hold(
        *request.args.getlist("channel"), name=request.args.get("name"), on_message=said,
        initial=[Event("", "hello")],
    )  # fmt: skip


@app.route("/socket-for-reading", websocket=True)
def socket_for_reading() -> Any:
    return hold(request.args["channel"], initial=[{"first": True}])


@app.get("/events-of-the-view")
def events_of_the_view() -> Any:
    return hold(request.args["channel"], last_event_id=request.args["after"], keep_alive=0)


@app.get("/events-that-end")
def events_that_end() -> Any:
    return hold("ends", on_open=lambda hold: hold.close())


@app.post("/publish-bytes/<path:name>")
def send_bytes(name: str) -> str:
    publish(name, b"\0\xff")
    return ""


@app.get("/quick")
def quick() -> str:
    return "quick"


wrapped = Carboy("wrapped")
wrapped.add_url_rule("/events", view_func=events)
wrapped.wsgi_app = ProxyFix(wrapped.wsgi_app)  # type: ignore[method-assign]
