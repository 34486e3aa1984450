"""`carboy explain` of ASGI applications, mounted ones, and views that are awaited."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from carboy import Carboy
from carboy.cli.explain import record
from carboy.cli.explain_question import Question
from carboy.dev.explain import places
from carboy.dev.explain.explanation import Explanation
from carboy.gateway import mount
from running import carboy

HERE = Path(__file__).name


async def slow() -> str:
    await asyncio.sleep(0.01)
    return "hello"


async def app(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    await receive()
    text = await slow()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text.encode()})


async def fails(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    await asyncio.sleep(0)
    raise ValueError("broken")


def explained(application: Any, path: str = "/") -> Explanation:
    return record(application, "app", Question("GET", path, [], None))


def titles(found: Explanation) -> list[str]:
    return [step.title for step in found.steps]


def on_the_loop(found: Explanation) -> list[tuple[str, str]]:
    """Name and room of the calls that the loop makes."""
    (track,) = [track for track in found.tracks if track.name == "carboy-loop"]
    return [(root.name, root.place.room) for root in track.roots]


def test_the_steps_go_from_accept_through_the_loop_to_the_last_send() -> None:
    found = explained(app)
    assert found.status.startswith("200")
    wanted = [
        "The connection is accepted", "Bytes are read from the socket",
        "The bytes are parsed as a request head",
        "The request gets a channel, for the event loop", "The event loop calls the application",
        "The ASGI scope is built", "Your app runs", "The application receives a message",
        "The application sends a message", "The response becomes bytes", "The bytes are sent",
    ]  # fmt: skip
    assert [title for title in titles(found) if title in wanted] == wanted


def test_the_time_between_two_calls_of_a_coroutine_is_shown_as_waiting() -> None:
    calls = on_the_loop(explained(app))
    (wait,) = [call for call in calls if call[1] == places.WAITING]
    assert wait[0] == "await in slow"
    names = [name for name, _ in calls]
    at = names.index("await in slow")
    assert names[at - 1 : at + 2] == ["Request.run", "await in slow", "Request.run"]
    assert not any(name.startswith(("BaseEventLoop", "Handle")) for name in names)


def test_a_wait_has_the_place_of_your_code() -> None:
    found = explained(app)
    (node,) = [node for node in found.nodes() if node.name == "await in slow"]
    assert node.place.lines.startswith(f"{HERE}:") or f"/{HERE}:" in node.place.lines
    assert node.time > 0


def test_an_exception_is_explained() -> None:
    found = explained(fails)
    assert found.status.startswith("500")
    failure = found.failure()
    assert failure is not None
    assert str(failure[0]) == "broken"


def test_a_view_that_is_awaited_has_its_waits() -> None:
    application = Carboy("views")

    @application.get("/")
    async def view() -> str:
        return await slow()

    found = explained(application)
    assert "The view 'view' runs" in titles(found)
    assert ("await in slow", places.WAITING) in on_the_loop(found)


def test_a_mounted_application_is_explained() -> None:
    found = explained(mount(Carboy("root"), {"/api": app}), "/api/x")
    assert found.status.startswith("200")
    assert "The mounted application is found" in titles(found)
    assert "Your app runs" in titles(found)


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [environ["SCRIPT_NAME"].encode()]


def test_the_rule_and_the_hooks_of_a_mounted_application_are_named() -> None:
    inner = Carboy("inner")

    @inner.before_request
    def before() -> None:
        pass

    @inner.get("/notes/<int:number>")
    def note(number: int) -> str:
        return str(number)

    found = explained(mount(Carboy("root"), {"/in": inner, "/wsgi": wsgi}), "/in/notes/3")
    assert "The before_request hook 'before' runs" in titles(found)
    assert "The view 'note' runs" in titles(found)
    assert found.rule[:1] == ["GET /in/notes/3"]
    assert found.rule[1].startswith("/in  ")
    assert found.rule[2:] == ["GET /notes/3", "  ✓ /notes/<int:number> → note  (number=3)"]


MOUNT = ("--mount", "/w=theirs:wsgi")
THEIRS = """
def wsgi(environ, start_response):
    start_response("200 OK", [])
    return [environ["SCRIPT_NAME"].encode()]
"""


@pytest.mark.parametrize("more", [(), ("--from-start",), ("--from-start", "--server=wsgiref")])
def test_mount_takes_what_it_takes_for_carboy_run(tmp_path: Path, more: tuple[str, ...]) -> None:
    (tmp_path / "theirs.py").write_text(THEIRS)
    said = carboy(tmp_path, "explain", "GET", "/w/x", *MOUNT, *more)
    assert said.startswith("GET /w/x → 200 OK, 2 bytes")
    assert "The mounted application is found" in said
    assert re.search("Your (wsgi|application) runs", said)


def test_mount_is_refused_for_servers_that_load_the_application_themselves(tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text(THEIRS)
    options = ("--from-start", "--server", "flask")
    said = carboy(tmp_path, "explain", "theirs:wsgi", "GET", "/", *MOUNT, *options, code=2)
    assert "--mount cannot be combined with --server flask." in said


def test_a_lifespan_that_fails_ends_the_command(tmp_path: Path) -> None:
    text = (
        "async def app(scope, receive, send):\n    await receive()\n    raise OSError('no pool')\n"
    )
    (tmp_path / "api.py").write_text(text)
    said = carboy(tmp_path, "explain", "api:app", "GET", "/", code=1)
    assert "Error: The application failed to start: Traceback" in said
    assert "OSError: no pool" in said
