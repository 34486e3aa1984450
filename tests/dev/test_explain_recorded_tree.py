"""The tree of a recording made by hand."""

from __future__ import annotations

from carboy.dev.explain import page, terminal
from carboy.dev.explain.recorded_tree import of_recording
from carboy.dev.explain.terminal import Painter
from recordings import SERVED, recording


def test_calls_are_below_the_call_in_which_they_were_made() -> None:
    made = recording(*SERVED)
    calls = made.processes[0].calls
    calls[0].ended = calls[-1].ended
    for call in calls[1:]:
        call.above = 0
    (track,) = of_recording(made).tracks
    (root,) = track.roots
    assert root.name == "run_simple"
    assert [child.name for child in root.children] == [name for _, name, _ in SERVED[1:]]


def test_the_steps_are_those_of_the_chain() -> None:
    found = of_recording(recording(*SERVED, roles={"hello": "view 'hello'"}))
    assert [step.number for step in found.steps] == list(range(1, 13))
    numbered = {node.name: node.step for node in found.nodes() if node.step}
    assert numbered["run_simple"] == 1
    assert numbered["hello"] == 9


def test_a_child_process_has_its_own_track_without_the_copied_calls() -> None:
    made = recording(*SERVED)
    child = recording(*SERVED[7:]).processes[0]
    child.pid = 8
    child.calls[0].copied = True
    child.calls[1].above = 0
    made.processes.append(child)
    tracks = of_recording(made).tracks
    assert [track.name for track in tracks] == [
        "MainThread of process 7", "MainThread of process 8",
    ]  # fmt: skip
    assert tracks[1].roots[0].name == "socket.recv"


def test_the_page_and_the_tree_can_be_made() -> None:
    found = of_recording(recording(*SERVED))
    assert "from the start of the server to its stop" in page.make(found)
    assert "run_simple" in "\n".join(terminal.trees(found, Painter(False), None, None, True))
