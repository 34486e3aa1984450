"""Recorded calls made by hand, for the tests of explanations."""

from __future__ import annotations

from carboy.dev.explain.explanation import Explanation
from carboy.dev.explain.places import APPLICATION, C_CODE, KERNEL, PYTHON, TEMPLATE, WAITING, Place
from carboy.dev.explain.steps import name_steps
from carboy.dev.explain.tree import Node, Track

NO_FILE = {KERNEL, C_CODE, WAITING}


def place(room: str) -> Place:
    package = "carboy" if room in ("server", "protocol", "gateway", "app", "http", "net") else room
    package = APPLICATION if room == TEMPLATE else package
    if room in NO_FILE:
        return Place("", 0, 0, room, room, "")
    folder = f"carboy/{room}" if package == "carboy" else room
    return Place(f"/there/{folder}/file.py", 10, 20, package, room, f"{folder}/file.py")


def call(
    name: str,
    room: str,
    began: int,
    ended: int,
    *children: Node,
    module: str = "",
    result: str = "",
) -> Node:
    node = Node(name, module or room, place(room), began, ended, result=result)
    node.children = list(children)
    return node


def request() -> list[Node]:
    """The calls of a small request. Times are in nanoseconds."""
    view = call("index", APPLICATION, 40_000, 60_000, call("len", C_CODE, 45_000, 46_000))
    return [
        call(
            "Engine._accept", "server", 0, 10_000,
            call("socket.accept", PYTHON, 1_000, 9_000, module="socket"),
        ),
        call(
            "Engine._read", "server", 20_000, 100_000,
            call("socket.recv", KERNEL, 21_000, 22_000, module=""),
            call("Flask.wsgi_app", "flask", 30_000, 70_000, view, module="flask.app"),
            call("socket.send", KERNEL, 80_000, 85_000),
            call("socket.send", KERNEL, 86_000, 90_000),
        ),
    ]  # fmt: skip


def explanation(*roots: Node, app: object = None) -> Explanation:
    tracks = [Track("engine", list(roots) or request())]
    return Explanation("shop", "GET /", "200 OK", 1234, tracks, name_steps(tracks, app))
