"""The calls of a recorded server as an explanation, for the tree and the page."""

from __future__ import annotations

from dataclasses import replace

from carboy.dev.explain.chain import ChainStep, chain_of
from carboy.dev.explain.explanation import Explanation
from carboy.dev.explain.recording import Process, RecordedCall, Recording
from carboy.dev.explain.steps import Step
from carboy.dev.explain.tree import Node, Track

SPAN = "from the start of the server to its stop"


def of_recording(recording: Recording) -> Explanation:
    """All calls, on a track for each thread of each process, and the steps of the chain.

    Calls that a child process has copied from its parent are left out with their times; what was
    called below them is at the top of its track.
    """
    tracks: list[Track] = []
    nodes: dict[int, Node] = {}
    zero = min((call.at for _, call in recording.in_order()), default=0)
    for process in recording.processes:
        tracks += _tracks(process, len(recording.processes) > 1, zero, nodes)
    steps = [_step(step, nodes[id(step.call)]) for step in chain_of(recording)]
    return Explanation(
        recording.app, recording.request, recording.status, recording.size, tracks, steps,
        span=SPAN,
    )  # fmt: skip


def _tracks(process: Process, several: bool, zero: int, nodes: dict[int, Node]) -> list[Track]:
    names = [f"{name} of process {process.pid}" if several else name for name in process.threads]
    tracks = [Track(name, []) for name in names]
    shift = _shift(process, zero)
    made: list[Node | None] = []
    for call in process.calls:
        node = None if call.copied else _node(process, call, shift)
        made.append(node)
        if node is None:
            continue
        nodes[id(call)] = node
        above = made[call.above] if 0 <= call.above < len(made) else None
        (above.children if above else tracks[call.thread].roots).append(node)
    return [track for track in tracks if track.roots]


def _shift(process: Process, zero: int) -> int:
    """How far the times of a process are moved, so that its first call is where it was."""
    first = next((call for call in process.calls if not call.copied), None)
    return first.at - zero - first.began if first else 0


def _node(process: Process, call: RecordedCall, shift: int) -> Node:
    function = process.function_of(call)
    return Node(
        function.name, function.module, function.place, call.began + shift,
        call.ended + shift, call.args, call.result, call.raised, call.last,
        role=function.role,
    )  # fmt: skip


def _step(step: ChainStep, node: Node) -> Step:
    node.step = step.number
    made = Step(
        step.number, step.title, node, step.function.place, node.time, step.times,
        step.phase.value,
    )  # fmt: skip
    if step.caller is not None:
        made.caller = step.caller.name
        made.called_at = replace(step.caller.place, first=step.line, last=step.line)
        if not made.place.lines:
            made.place = made.called_at
    return made
