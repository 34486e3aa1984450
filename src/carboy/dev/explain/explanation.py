"""All that is known of one explained request: what every kind of output is made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from carboy.dev.explain import places, tree
from carboy.dev.explain.recorder import Recorder
from carboy.dev.explain.secrets import Eraser
from carboy.dev.explain.steps import Step, name_steps
from carboy.dev.explain.tracer import Traced
from carboy.dev.explain.tree import Node, Track


@dataclass(slots=True)
class Explanation:
    """One request, its answer, and what ran in between."""

    app: str
    request: str  # "GET /path"
    status: str
    octets: int  # of the answer's content
    tracks: list[Track]
    steps: list[Step]
    overflowed: bool = False
    rule: list[str] = field(default_factory=list)  # which won and why, as lines
    erase: Callable[[str], str] = str  # takes the secrets of the request out of a text

    @property
    def time(self) -> int:
        """Nanoseconds the engine's thread was busy."""
        return sum(root.time for root in self.tracks[0].roots) if self.tracks else 0

    def nodes(self) -> list[Node]:
        """Every call of every thread."""
        return [node for track in self.tracks for node in track.walk()]

    def names(self) -> set[str]:
        """The rooms and packages that ran."""
        places = {node.place for node in self.nodes()}
        return {place.room for place in places} | {place.package for place in places}

    def shares(self) -> list[tuple[str, int, int]]:
        """Room or package, calls and own nanoseconds; C code counts for who called it."""
        found: dict[str, list[int]] = {}

        def add(node: Node, caller: str) -> None:
            room = node.place.room
            name = caller if room == places.C_CODE else _group(node)
            entry = found.setdefault(name, [0, 0])
            entry[0] += room != places.C_CODE
            entry[1] += node.own
            for child in node.children:
                add(child, name)

        for track in self.tracks:
            for root in track.roots:
                add(root, places.PYTHON)
        return sorted(
            ((name, calls, own) for name, (calls, own) in found.items()), key=lambda each: -each[2]
        )

    def failure(self) -> tuple[BaseException, Node] | None:
        """The exception the application raised, and the call that was told of it."""
        for node in self.nodes():
            if node.error is None or type(node.error).__module__.startswith("carboy.server"):
                continue  # such as that the client has gone
            if node.step and node.error.__traceback__:
                return node.error, node
        return None


def of_traced(traced: Traced, app: Any, name: str = "") -> Explanation:
    """What one request of a tracer has to tell."""
    tracks = [tree.of_branches(traced.thread, traced.calls)]
    Eraser(traced.secrets).clean(node for track in tracks for node in track.walk())
    return Explanation(name, "", "", 0, tracks, name_steps(tracks, app), traced.overflowed)


def _group(node: Node) -> str:
    return f"carboy.{node.place.room}" if node.place.package == "carboy" else node.place.room


def explain(
    recorder: Recorder,
    app: Any,
    name: str,
    request: str,
    status: str,
    octets: int,
    rule: list[str],
) -> Explanation:
    """What a disarmed recorder has to tell."""
    tracks = tree.build(recorder)
    steps = name_steps(tracks, app)
    return Explanation(name, request, status, octets, tracks, steps, recorder.overflowed, rule)
