"""Steps through the bytes of a connection: each byte belongs to one step, and the code is true."""

from __future__ import annotations

import inspect
import linecache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carboy.dev.explain import byte_steps
from carboy.dev.explain.byte_steps import (
    BODY,
    END,
    FIELD,
    REFUSED,
    REQUEST,
    RESPONSE,
    Step,
    Stepped,
    of_request,
    replay,
)
from carboy.dev.explain.step_page import data_of, make
from carboy.dev.explain.step_text import StepText
from carboy.dev.explain.wire_recording import METHODS, MachineCall
from carboy.protocol.errors import RemoteProtocolError
from carboy.protocol.interface import ConnectionMachine
from carboy.protocol.states import Reading
from protocol import rules
from protocol.feeding import body as body_of
from protocol.feeding import outcome

EXTRA = b"Server: carboy\r\nDate: Sun, 29 Nov 2026 12:00:00 GMT\r\n"
GET = b"GET /a?b=1 HTTP/1.1\r\nHost: x\r\nX-Name:  Bob \r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab\nc"
CHUNKED = (
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;a=b\r\na\nb\r\n1\r\nc\r\n0\r\nA: b\r\n\r\n"
)


def answered(*requests: bytes, body: bytes = b"ok") -> Stepped:
    """Requests that come in one piece, and their responses."""
    calls = [MachineCall("receive", (b"".join(requests),))]
    at = 0
    for each in requests:
        at += len(each)
        args = ("200 OK", [("Content-Type", "text/plain")], body, EXTRA)
        calls.append(MachineCall("whole_response", args, at, Reading.DONE))
    return replay(calls)


def titles(found: Stepped, direction: str = REQUEST) -> list[str]:
    return [step.title for step in found.steps if step.direction == direction]


def parts(step: Step) -> dict[str, str]:
    return {part.name: part.text for part in step.parts}


def code_of(step: Step) -> str:
    code, line = step.stack[0]
    return linecache.getline(code.co_filename, line).strip()


def check_partition(found: Stepped) -> None:
    for direction, data in ((REQUEST, found.request), (RESPONSE, found.response)):
        at = 0
        for step in found.steps:
            if step.direction == direction:
                assert step.first == at, step
                at = step.last
                for part in step.parts:
                    assert part.first == part.last or step.first <= part.first <= part.last <= at
        assert at == len(data)


def test_a_request_and_its_response_are_steps_in_order() -> None:
    found = answered(GET)
    assert titles(found) == ["Request line", "Header Host", "Header X-Name", "End of the head"]
    assert titles(found, RESPONSE) == [
        "Status line", "Header Content-Type", "Header Server", "Header Date",
        "Header Content-Length", "End of the head", "Body",
    ]  # fmt: skip
    assert found.quick == "quick_head"
    check_partition(found)


def test_a_line_is_split_into_the_parts_that_the_machine_found() -> None:
    line, _, name, end = answered(GET).steps[:4]
    assert parts(line) == {"method": "GET", "target": "/a?b=1", "version": "HTTP/1.1"}
    assert parts(name) == {"name": "X-Name", "value": "Bob"}
    value = name.parts[1]
    assert GET[value.first : value.last] == b"Bob"
    assert parts(end)["path"] == "/a" and parts(end)["query"] == "b=1"


def test_the_code_is_the_line_that_took_the_bytes() -> None:
    found = answered(POST)
    assert code_of(found.steps[0]) == "line = buffer.line()"
    body = next(step for step in found.steps if step.kind == BODY)
    assert code_of(body) == "piece = self._buffer.take(self._remaining)"
    names = {code.co_qualname for code, _ in found.steps[1].ran}
    assert {"HeadReader.add", "HeadReader._field", "split_field_line"} <= names


def test_the_code_of_a_response_is_the_line_that_made_the_bytes() -> None:
    made = {step.title: step.stack[0][0].co_qualname for step in answered(GET).steps[4:]}
    assert made["Header Content-Type"] == "encode_line"
    assert made["Header Content-Length"] == "framing_line"


def test_the_states_change_at_the_end_of_the_head_and_of_the_response() -> None:
    steps = answered(POST).steps
    end = next(step for step in steps if step.kind == END)
    assert (end.before, end.after) == (("HEAD", "NOTHING"), ("LENGTH", "WAITING"))
    assert steps[-1].after == ("IDLE", "DONE")
    for one, other in zip(steps, steps[1:]):
        assert one.after == other.before


def test_a_chunked_body_is_taken_chunk_by_chunk() -> None:
    found = of_request(CHUNKED)
    assert titles(found)[4:] == [
        "Size of a chunk", "Content of a chunk", "End of a chunk", "Size of a chunk",
        "Content of a chunk", "End of a chunk", "Last chunk, of size 0", "Trailer",
        "End of the chunked body",
    ]  # fmt: skip
    check_partition(found)


def test_requests_that_come_together_are_stepped_through_one_after_the_other() -> None:
    found = answered(POST, GET, CHUNKED, GET)
    check_partition(found)
    assert titles(found).count("Request line") == titles(found, RESPONSE).count("Status line") == 4
    assert len(found.heads) == 4


def test_a_streamed_response_is_chunks() -> None:
    after = (len(GET), Reading.DONE)
    calls = [
        MachineCall("receive", (GET,)),
        MachineCall("start_response", ("200 OK", [], b""), *after),
        MachineCall("send_data", (b"abc",), *after),
        MachineCall("end_response", (), *after),
    ]
    found = replay(calls)
    chunk, end = found.steps[-2:]
    assert parts(chunk) == {"size": "3", "content": "abc"}
    assert (end.title, end.after) == ("End of the body", ("IDLE", "DONE"))
    check_partition(found)


def test_the_bytes_of_a_file_are_what_the_client_received() -> None:
    after = (len(GET), Reading.DONE)
    head = answered(GET).response.partition(b"\r\n\r\n")[0]
    calls = [
        MachineCall("receive", (GET,)),
        MachineCall("start_response", ("200 OK", [("Content-Length", "4")], b""), *after),
        MachineCall("account", (4,), *after),
        MachineCall("end_response", (), *after),
    ]
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
    found = replay(calls, head + b"file")
    assert found.response == head + b"file"
    assert found.steps[-1].title == "End of the response"
    check_partition(found)


@pytest.mark.parametrize("rule", rules.REFUSED, ids=lambda rule: rule.sentence)
def test_a_refused_request_shows_the_rule_and_the_byte(rule: rules.Refused) -> None:
    found = of_request(rule.data)
    check_partition(found)
    refused = [step for step in found.steps if step.kind == REFUSED]
    assert len(refused) == 1
    (step,) = refused
    assert step.error.startswith(f"{rule.status}: ")
    assert step.after[0] == "ERROR"
    assert "raise" in code_of(step)


@pytest.mark.parametrize("rule", rules.ACCEPTED, ids=lambda rule: rule.sentence)
def test_an_accepted_request_is_not_refused(rule: rules.Accepted) -> None:
    found = of_request(rule.data)
    check_partition(found)
    assert not [step for step in found.steps if step.kind == REFUSED]
    assert found.heads


def test_the_refused_byte_is_the_last_one_that_the_machine_needed() -> None:
    found = of_request(
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\naXYZ\n"
    )
    step = next(step for step in found.steps if step.kind == REFUSED)
    assert found.bytes_of(step) == b"X"
    assert found.steps[-1].title == "Bytes that are not read"


def test_a_smuggled_request_is_not_read() -> None:
    data = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    found = of_request(data + b"0\r\n\r\n" + GET)
    assert found.bytes_of(found.steps[-1]) == b"0\r\n\r\n" + GET
    assert "exclude each other" in found.steps[-2].title


def test_an_unfinished_head_waits() -> None:
    found = of_request(b"GET / HTTP/1.1\r\nHos")
    assert found.steps[-1].title == "Bytes that wait for more"
    check_partition(found)


def test_the_last_of_too_many_steps_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_steps, "MOST", 3)
    found = answered(CHUNKED, GET)
    assert len(found.steps) == 7  # and one for each direction in turn
    check_partition(found)


NAMES = st.sampled_from(
    ["Host", "X-A", "Content-Length", "Transfer-Encoding", "Cookie", "bad name"]
)
VALUES = st.sampled_from(["x", "3", "chunked", "", " a b ", "\x00", "caf\xe9"])
TARGETS = st.sampled_from(["/", "/a?b=c", "*", "http://x/", "a", "/a b"])
BODIES = st.sampled_from([b"", b"abc", b"3\r\nabc\r\n0\r\n\r\n", b"1\r\na", b"\n\n", b"zz\r\n"])


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    lines = [f"{draw(st.sampled_from(['GET', 'POST', 'G(T']))} {draw(TARGETS)} HTTP/1.1"]
    lines.append("Host: x")
    lines += [f"{draw(NAMES)}: {draw(VALUES)}" for _ in range(draw(st.integers(0, 3)))]
    end = draw(st.sampled_from(["\r\n", "\r\n", "\r\n", "\n"]))
    return end.join([*lines, "", ""]).encode("latin-1") + draw(BODIES)


@settings(deadline=None, max_examples=150)
@given(
    st.one_of(requests(), st.lists(requests(), max_size=3).map(b"".join), st.binary(max_size=80))
)
def test_each_byte_is_in_one_step_and_the_outcome_is_that_of_the_machine(data: bytes) -> None:
    found = of_request(data)
    check_partition(found)
    direct = outcome(data)
    refused = [step.error for step in found.steps if step.kind == REFUSED]
    said = [f"{each[1]}: {each[2]}" for each in direct if each[0] == "error"]
    # `outcome` answers each request. Here the first one is not answered, so no other is read.
    if len(found.heads) <= 1 and (refused or len([e for e in direct if e[0] == "head"]) <= 1):
        assert refused == said[: len(refused)]
    if found.heads and len(found.heads) == len([e for e in direct if e[0] == "head"]) == 1:
        content = b"".join(found.bytes_of(step) for step in found.steps if step.kind == BODY)
        assert content == body_of(direct)


def test_secrets_are_covered_in_page_and_text() -> None:
    secret = b"GET /?token=hunter2 HTTP/1.1\r\nHost: x\r\nCookie: a=hunter22\r\n\r\n"
    refused = secret.replace(b"Host", b"Ho st")
    login = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\npassword=hunter2"
    for data in (secret, refused, login):
        found = of_request(data)
        text = StepText("GET /", found, False)
        shown = make("GET /", found) + "".join(map(text.step, range(len(found.steps))))
        assert "hunter2" not in shown
        assert "68 75 6e 74" not in shown
        assert [step["first"] for step in data_of(found)["steps"]] == [
            step.first for step in found.steps
        ]


def test_the_text_of_a_step_has_bytes_parts_states_and_code() -> None:
    text = StepText("GET /a", answered(GET), False)
    assert "quick_head() read it with one pattern (carboy/protocol/head.py:" in text.heading()
    step = text.step(0)
    assert step.startswith("  1/11 → Request line\n    0000  47 45 54 20 ")
    assert "GET /a?b=1 HTTP/" in step and "\\r\\n" in step
    assert "    target = /a?b=1\n" in step
    assert "request IDLE → HEAD, response NOTHING" in step
    assert "Machine._next_head: line = buffer.line()" in step
    assert text.next_header(0) == 1 and text.next_header(2) == 5 and text.next_header(10) == 10


def test_fields_are_the_headers() -> None:
    assert sum(step.kind == FIELD for step in answered(GET).steps) == 6


def test_a_request_that_takes_too_long_is_refused_in_a_step_without_bytes() -> None:
    error = RemoteProtocolError(408, "the body arrives too slowly")
    data = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"
    found = replay(
        [
            MachineCall("receive", (data,)),
            MachineCall("error_response", (error, EXTRA), len(data), Reading.LENGTH),
        ]
    )
    assert titles(found)[-2:] == ["Body", "Refused with 408: the body arrives too slowly"]
    assert titles(found, RESPONSE)[0] == "Status line"


def test_a_response_that_ends_early_is_called_incomplete() -> None:
    found = replay(
        [
            MachineCall("receive", (GET,)),
            MachineCall("start_response", ("200 OK", [], EXTRA), len(GET), Reading.DONE),
            MachineCall("send_data", (b"abc",), len(GET), Reading.DONE),
        ]
    )
    assert titles(found, RESPONSE)[-2:] == ["Chunk", "The response is not complete"]


def test_a_long_connection_takes_time_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_steps, "MOST", 20)
    many = b"1\r\nx\r\n" * 5000
    end = b"0\r\n\r\n"
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    calls = [
        MachineCall("receive", (head + many + end,)),
        MachineCall("start_response", ("200 OK", [], EXTRA), len(head + many + end), Reading.DONE),
        *[MachineCall("send_data", (b"abc",), len(head + many + end), Reading.DONE)] * 500,
        MachineCall("end_response", (), len(head + many + end), Reading.DONE),
    ]
    found = replay(calls)
    assert len(found.steps) < 30
    check_partition(found)
    assert found.request == head + many + end
    assert found.response.count(b"3\r\nabc\r\n") == 500
    assert found.heads[0].chunked


@pytest.mark.parametrize("bad", [b"zz\r\n", b"1\r\nab\r\n", GET.replace(b"Host", b"Host ")])
def test_a_refusal_after_the_last_step_that_is_shown_is_shown(
    monkeypatch: pytest.MonkeyPatch, bad: bytes
) -> None:
    monkeypatch.setattr(byte_steps, "MOST", 3)
    found = of_request(CHUNKED.replace(b"0\r\nA: b\r\n\r\n", b"") + bad)
    check_partition(found)
    assert "400" in "".join(step.error + step.title for step in found.steps)


def test_every_method_that_a_server_calls_is_recorded() -> None:
    asked = {name for name, of in vars(ConnectionMachine).items() if inspect.isfunction(of)}
    # Those that read are not recorded: the replay calls next_event as often as it needs. While the
    # machine is recorded, the server has it see the bytes that left_to_receive would only count.
    reading = {"next_event", "whole_body", "left_to_receive"}
    assert {name for name in asked if name[0] != "_"} - set(METHODS.values()) == reading
