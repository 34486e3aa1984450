"""Calls that nobody made, for tests of what is told of calls."""

from __future__ import annotations

from carboy.dev.explain import places
from carboy.dev.explain.explanation import Explanation
from carboy.dev.explain.places import Place
from carboy.dev.explain.steps import name_steps
from carboy.dev.explain.tree import Node, Track


def place_of(room: str) -> Place:
    if room in (places.KERNEL, places.C_CODE):
        return Place("", 0, 0, room, room, "")
    package = "carboy" if room in ("server", "protocol", "app", "http") else room
    return Place(f"/lib/{room}.py", 10, 20, package, room, f"{room}.py")


def node(name: str, room: str, *children: Node, time: int = 1000, module: str = "") -> Node:
    """One call of so many nanoseconds, beginning at 0."""
    return Node(name, module, place_of(room), 0, time, children=list(children))


def explanation(*roots: Node, app: object = None) -> Explanation:
    tracks = [Track("engine", list(roots))]
    return Explanation("app", "GET /", "200 OK", 2, tracks, name_steps(tracks, app))
