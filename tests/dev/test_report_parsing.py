"""The section of a report about the headers, from a real request to Flask on its own server."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from carboy.cli import explain_start
from carboy.cli.explain_follow import Following
from carboy.cli.explain_process import Launch
from carboy.cli.explain_question import Question
from carboy.dev.explain.value_path import ValuePath
from carboy.dev.report import markdown, parsing
from carboy.dev.report.document import (
    Block,
    Document,
    Heading,
    Linked,
    Listing,
    Numbered,
    Paragraph,
    Table,
    plain,
    spans_of,
)

APP = """
from flask import Flask, request

app = Flask(__name__)

@app.before_request
def early():
    return None if request.headers["Host"] else "no host"

@app.get("/")
def index():
    return request.headers["X-Theme"]
"""
GIVEN = [("X-Other", "dark"), ("Cookie", "session=abcdef99"), ("X-Theme", "dark")]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> ValuePath:
    folder = tmp_path_factory.mktemp("parsing")
    (folder / "theirs.py").write_text(APP)
    question = Question("GET", "/", GIVEN, None)
    following = Following((), question)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        explain_start.record(Launch("theirs", "werkzeug"), question, 60, following)
    return following.paths()[0]


def listings(blocks: list[Block]) -> list[Listing]:
    found: list[Listing] = []
    for each in blocks:
        if isinstance(each, Listing):
            found.append(each)
        elif isinstance(each, Numbered):
            for item in each.items:
                found += listings(list(item))
    return found


def test_the_header_that_the_view_reads_is_followed_in_the_same_run(found: ValuePath) -> None:
    paragraphs = [plain(e.text) for e in parsing.blocks(found) if isinstance(e, Paragraph)]
    assert paragraphs[0].startswith("The header X-Theme is followed from the bytes")
    last = [text for text in paragraphs if "reads it with" in text]
    assert last[0].startswith('index reads it with request.headers["X-Theme"], ')


def test_the_bytes_are_there_up_to_the_end_of_the_header(found: ValuePath) -> None:
    text = next(e.text for e in listings(parsing.blocks(found)) if e.language == "text")
    rows = re.findall(r"^([0-9a-f]{8})  ((?:[0-9a-f]{2} ?)+) ", text, re.MULTILINE)
    data = b"".join(bytes.fromhex(codes) for _, codes in rows)
    assert data.startswith(b"GET / HTTP/1.1\r\n") and data.endswith(b"X-Theme: dark\r\n\r\n")
    assert [int(offset, 16) for offset, _ in rows] == list(range(0, len(data), 16))
    assert b"abcdef99" not in data and b"Cookie: ****************\r\n" in data
    assert sum(line.count("^") for line in text.splitlines() if set(line) <= {" ", "^"}) == 4


def test_the_table_has_every_header_line_with_its_key(found: ValuePath) -> None:
    (table,) = (each for each in parsing.blocks(found) if isinstance(each, Table))
    rows = [[plain(cell) for cell in row] for row in table.rows]
    lines = found.data.decode().split("\r\n")[1:-2]
    assert [row[1] for row in rows] == lines
    for offset, line, _, _ in rows:
        assert found.data[int(offset) :].decode().startswith(line)
    assert ["HTTP_X_THEME", "'dark'"] in [row[2:] for row in rows]


def test_each_step_has_a_link_and_quotes_lines_of_its_file(found: ValuePath) -> None:
    (steps,) = (each for each in parsing.blocks(found) if isinstance(each, Numbered))
    assert len(steps.items) > 10
    places = [Path(each) for each in sys.path if Path(each).is_dir()]
    for item in steps.items:
        head = item[0]
        assert isinstance(head, Paragraph)
        links = [span for span in spans_of(head.text) if isinstance(span, Linked)]
        for each in listings(list(item)):
            file = plain(links[0]).partition(":")[0]
            source = next(place / file for place in places if (place / file).is_file())
            lines = source.read_text().splitlines()
            for number, text in each.lines():
                assert number is not None and lines[number - 1].strip() == text


def test_the_section_has_headings_and_becomes_markdown(found: ValuePath) -> None:
    blocks = parsing.blocks(found)
    titles = [plain(each.text) for each in blocks if isinstance(each, Heading)]
    assert titles == [parsing.TITLE, parsing.BUFFER, "All header lines", parsing.OBJECT]
    text = markdown.render(Document("x", blocks))
    assert "abcdef99" not in text


def test_many_calls_that_read_are_one_sentence(found: ValuePath) -> None:
    many = replace(found, received=found.received * 400)
    text = markdown.render(Document("Title", parsing.blocks(many)))
    size = len(found.received[0].data)
    assert text.count("socket.recv_into read ") == 4
    assert f"In 397 more calls, socket.recv_into read {397 * size:,} bytes (numbers" in text
