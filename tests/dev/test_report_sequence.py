"""Sequence diagrams: made from a chain of steps, and drawn as Mermaid and as SVG."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from carboy.dev.explain.chain import Phase, chain_of
from carboy.dev.explain.recording import Recording
from carboy.dev.report import mermaid, svg
from carboy.dev.report.document import Message, SequenceDiagram
from carboy.dev.report.sequence import sequence_of
from chromium import chromium
from recordings import SERVED, recording

NAMES = ("end", "a;b", "#x", 'q"uo"te', "wrap: z", "<script>", "%%", "{}", "$$x$$", "漢字" * 60, "")
# What the language of Mermaid allows on a line, if each other character is an entity.
PLAIN = r"(?:[^#;&<>{}%\"`:$\n]|#\d+;)*"
LINE = re.compile(rf"    (participant a\d+ as {PLAIN}|a\d+-?->>a\d+: {PLAIN})")


def served(**changes: str) -> Recording:
    made = recording(*SERVED, roles={"hello": "view 'hello'"})
    made.sent, made.received = "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nhello"
    made.sent_size, made.received_size = 27, 70_000
    view = next(call for call in made.processes[0].calls if call.line == 40)
    view.result = changes.get("result", "'hello'")
    return made


def lines_of(made: Recording, phase: Phase) -> list[str]:
    found = sequence_of(made, chain_of(made), phase)
    return [
        f"{each.source} {'-->' if each.is_reply else '->'} {each.target}: {each.text}"
        for each in found.messages
    ]


def test_the_diagram_goes_from_the_client_to_the_view_and_back() -> None:
    made = served()
    found = sequence_of(made, chain_of(made), Phase.REQUEST)
    assert found.actors[:2] == ["client", "kernel"] and found.actors[-1] == "your code"
    assert lines_of(made, Phase.REQUEST) == [
        "client -> kernel: connect()",
        "launcher -> socketserver: BaseServer._handle_request_noblock()",
        "launcher -> kernel: accept()",
        "client -> kernel: GET / HTTP/1.1, 27 bytes",
        "launcher -> kernel: recv()",
        "launcher -> your code: hello()",
        "your code --> launcher: 'hello'",
        "launcher -> kernel: sendall() ×2",
        "kernel -> client: HTTP/1.1 200 OK, 70,000 bytes",
        "launcher -> kernel: close()",
    ]


def test_consecutive_calls_of_two_actors_are_one_message() -> None:
    assert lines_of(served(), Phase.START) == [
        "launcher -> werkzeug.serving: run_simple()",
        "launcher -> kernel: socket(), bind(), listen()",
        "launcher -> socketserver: BaseServer.serve_forever()",
    ]


def test_a_long_result_is_cut() -> None:
    lines = lines_of(served(result=repr("x" * 500)), Phase.REQUEST)
    (reply,) = [line for line in lines if "-->" in line]
    assert reply.endswith("xx…") and len(reply) < 80


def everything(name: str) -> SequenceDiagram:
    messages = [Message(name, "y", name), Message("y", name, name, True), Message(name, name, name)]
    return SequenceDiagram([name, "y"], messages)


@pytest.mark.parametrize("name", NAMES)
def test_mermaid_has_no_character_with_a_meaning(name: str) -> None:
    head, *lines = mermaid.render(everything(name)).splitlines()
    assert head == "sequenceDiagram" and len(lines) == 5
    assert [line for line in lines if not LINE.fullmatch(line)] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_svg_is_well_formed(name: str) -> None:
    root = ElementTree.fromstring(svg.render(everything(name)))
    texts = [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert len(texts) == 7
    assert all(text == name or text.endswith("…") for text in texts if text != "y")


@pytest.mark.xdist_group("chromium")
def test_nothing_in_the_svg_overlaps() -> None:
    made = served(result=repr("a long result " * 9))
    found = sequence_of(made, chain_of(made), Phase.REQUEST)
    loops = [Message("your code", "your code", "a_function_with_a_long_name(), " * 3)] * 2
    drawn = SequenceDiagram(found.actors, [*found.messages, *loops])
    with chromium() as browser:
        page = browser.new_page()
        page.set_content(svg.render(drawn))
        boxes = page.eval_on_selector_all(
            "svg text, svg .head",
            "all => all.map(e => { const b = e.getBBox(); return [b.x, b.y, b.width, b.height] })",
        )
        width, height = page.eval_on_selector(
            "svg", "svg => [svg.viewBox.baseVal.width, svg.viewBox.baseVal.height]"
        )
    assert len(boxes) > 25
    for number, (x, y, wide, high) in enumerate(boxes):
        assert x >= 0 and y >= 0 and x + wide <= width and y + high <= height
        for other_x, other_y, other_wide, other_high in boxes[number + 1 :]:
            is_beside = x + wide <= other_x or other_x + other_wide <= x
            assert is_beside or y + high <= other_y or other_y + other_high <= y
