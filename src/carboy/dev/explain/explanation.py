"""An explained request: the data for all kinds of output."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from carboy.dev.explain import places, tree
from carboy.dev.explain.recorder import Recorder
from carboy.dev.explain.secrets import Eraser
from carboy.dev.explain.steps import Step, name_steps
from carboy.dev.explain.tracer import Traced
from carboy.dev.explain.tree import Node, Track
from carboy.speedups import COMPILED, speedups

TWINS = "A server runs compiled functions instead of some of these, with the same results."
Share = tuple[str, int, int]  # room or package, calls, own nanoseconds; C counts for its caller


@dataclass(slots=True)
class Explanation:
    """One request, its response, and the calls between them."""

    app: str
    request: str  # "GET /path"
    status: str
    size: int  # bytes of the response body
    tracks: list[Track]
    steps: list[Step]
    overflowed: bool = False
    left_out: int = 0  # calls; 0 if it is not known how many
    rule: list[str] = field(default_factory=list)  # lines that say which rule matched and why
    span: str = "from accept() to the last send()"  # what was recorded
    twins: str = ""  # a sentence about functions that are compiled elsewhere
    erase: Callable[[str], str] = str  # removes the secrets of the request from a text

    @property
    def notice(self) -> str:
        """Sentences about what differs from the request of a server, or ""."""
        return " ".join(filter(None, (self._left_out(), self.twins)))

    def _left_out(self) -> str:
        if not self.overflowed:
            return ""
        if not self.left_out:
            return "The request made too many calls. Only the first are shown."
        return (
            f"The request made too many calls. {self.left_out:,} of them are left out, and their"
            " time counts for their callers."
        )

    def _is_failure(self, node: Node) -> bool:
        """Whether an exception that is an argument of this call is why the request failed."""
        is_cut = "," in self.status and node.place.package == "carboy"
        return is_cut or self.status.startswith("5")

    @property
    def count(self) -> int:
        """The number of calls that are shown, without those into C that count for their caller."""
        return sum(node.place.room != places.C_CODE for node in self.nodes())

    @property
    def time(self) -> int:
        """Nanoseconds that the thread of the engine was busy."""
        return self.tracks[0].time if self.tracks else 0

    def nodes(self) -> list[Node]:
        """All calls of all threads."""
        return [node for track in self.tracks for node in track.walk()]

    def names(self) -> set[str]:
        """The rooms and packages whose code ran."""
        places = {node.place for node in self.nodes()}
        return {place.room for place in places} | {place.package for place in places}

    def shares(self) -> list[Share]:
        """The shares of the thread of the engine, which are `time` together."""
        return _shares(self.tracks[:1])

    def failure(self) -> tuple[BaseException, Node] | None:
        """The exception that the application raised, and the call that handled it.

        It was the argument of a step; or of any call if the server has reported a failure, or of a
        call of the server if the response was cut off.
        """
        given = [
            (node.error, node)
            for node in self.nodes()
            if node.error is not None
            and node.error.__traceback__
            # Not, for example, that the client has disconnected.
            and not type(node.error).__module__.startswith("carboy.server")
        ]
        # The last one: a function that handles an exception may fail itself.
        of_steps = [(error, node) for error, node in reversed(given) if node.step]
        others = [pair for pair in given if self._is_failure(pair[1]) and _is_own(pair[0])]
        return next(iter((*of_steps, *others)), None)


def _is_own(error: BaseException) -> bool:
    """Whether it passed through code of the application."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(
        places.of_code(frame.f_code).room in (places.APPLICATION, places.TEMPLATE)
        for frame, _ in frames
    )


def of_traced(traced: Traced, app: Any, name: str = "") -> Explanation:
    """The explanation of a request that a tracer recorded."""
    tracks = tree.of_threads((traced.thread, traced.calls), *traced.others)
    Eraser(traced.secrets).clean(node for track in tracks for node in track.walk())
    return Explanation(name, "", "", 0, tracks, name_steps(tracks, app), traced.overflowed)


def _shares(tracks: Iterable[Track]) -> list[Share]:
    found: dict[str, list[int]] = {}

    def add(node: Node, caller: str) -> None:
        room = node.place.room
        name = caller if room == places.C_CODE else _group(node)
        entry = found.setdefault(name, [0, 0])
        entry[0] += room != places.C_CODE
        entry[1] += node.own
        for child in node.children:
            add(child, name)

    for track in tracks:
        for root in track.roots:
            add(root, places.PYTHON)
    return sorted(
        ((name, calls, own) for name, (calls, own) in found.items()), key=lambda each: -each[2]
    )


def _group(node: Node) -> str:
    return f"carboy.{node.place.room}" if node.place.package == "carboy" else node.place.room


def explain(
    recorder: Recorder,
    apps: Iterable[Any],
    name: str,
    request: str,
    status: str,
    size: int,
    rule: list[str],
) -> Explanation:
    """The explanation of the request that a recorder has recorded."""
    tracks = tree.build(recorder)
    steps = name_steps(tracks, *apps)
    return Explanation(
        name, request, status, size, tracks, steps, recorder.overflowed, recorder.left_out, rule,
        twins="" if speedups.state() != COMPILED else TWINS,
    )  # fmt: skip
