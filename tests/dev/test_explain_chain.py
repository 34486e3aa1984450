"""The steps of a server's recording, and their text, from recordings made by hand."""

from __future__ import annotations

import pytest

from carboy.dev.explain import chain_text
from carboy.dev.explain.chain import Phase, chain_of
from carboy.dev.explain.recording import Recording, UnreadableRecording, read, write
from recordings import SERVED, TO_CLIENT, recording


def titles(made: Recording) -> list[str]:
    return [step.title for step in chain_of(made)]


def test_the_steps_are_in_the_phases_of_a_servers_life() -> None:
    steps = chain_of(recording(*SERVED, roles={"hello": "view 'hello'"}))
    assert [(step.phase, step.title) for step in steps] == [
        (Phase.START, "The application is served"),
        (Phase.START, "The socket is made"),
        (Phase.START, "The socket is bound to its address"),
        (Phase.START, "The kernel begins to queue connections"),
        (Phase.START, "The loop that waits for connections starts"),
        (Phase.REQUEST, "The loop has a new connection"),
        (Phase.REQUEST, "The kernel gives the connection"),
        (Phase.REQUEST, "Bytes are read from the connection"),
        (Phase.REQUEST, "The view 'hello' runs"),
        (Phase.REQUEST, "Bytes are sent"),
        (Phase.REQUEST, "The connection is closed"),
        (Phase.STOP, "The listening socket is closed"),
    ]
    assert [step.number for step in steps] == list(range(1, 13))


def test_only_the_socket_that_is_bound_is_a_step() -> None:
    made = [step for step in chain_of(recording(*SERVED)) if step.title == "The socket is made"]
    assert [step.line for step in made] == [33]


def test_a_server_that_listens_on_all_addresses_accepts_on_others() -> None:
    everywhere = (("own", "0.0.0.0:5000"), ("listens", "True"))
    made = recording(("", "socket._accept", everywhere), ("", "socket.recv", TO_CLIENT))
    assert len(titles(made)) == 2


def test_a_system_call_on_another_socket_is_not_a_step() -> None:
    other = (("own", "127.0.0.1:6000"), ("peer", "127.0.0.1:5432"))
    assert titles(recording(("", "socket.sendall", other), ("", "socket.recv", ()))) == []


def test_a_call_from_the_application_into_a_library_is_a_step_once() -> None:
    made = recording(("mine", "hello", ()), ("flask", "jsonify", ()), ("flask", "jsonify", ()))
    process = made.processes[0]
    process.calls[2].function = process.calls[1].function
    for call in process.calls[1:]:
        call.caller = process.calls[0].function
    assert titles(made) == ["Your hello runs", "Your hello calls jsonify"]


def test_the_text_shows_caller_and_callee_with_their_lines() -> None:
    text = chain_text.show(recording(*SERVED))
    assert "GET / → 200 OK, 5 bytes; werkzeug 3.1 on 127.0.0.1:5000, 14 calls" in text
    assert (
        "   1. The application is served\n"
        "      run_simple  werkzeug.serving/file.py:10-20\n"
        "      called by main, launcher/file.py:31\n"
    ) in text
    assert "socket.sendall (127.0.0.1:5000 and 127.0.0.1:9)  in C, so its source" in text
    assert "Bytes are sent ×2" in text
    assert "\x1b" not in text
    assert "\x1b" in chain_text.show(recording(*SERVED), coloured=True)


def test_the_text_says_what_was_left_out() -> None:
    made = recording(*SERVED)
    made.processes[0].left_out = {"in imports": 58480}
    assert "Calls that were not recorded: 58,480 in imports." in chain_text.show(made)


def test_bytes_are_shown_by_line_with_their_places() -> None:
    made = recording(*SERVED)
    made.sent = "GET / HTTP/1.1\r\n" + "X: y\r\n" * 100
    made.received = "\xff" * 200
    text = chain_text.show(made)
    assert (
        "\nThe bytes of the request\n       0  GET / HTTP/1.1\\r\\n\n      16  X: y\\r\\n\n" in text
    )
    assert "\n     370  … 246 more\n" in text
    assert text.endswith("…\n")


def test_a_recording_without_a_connection_says_so() -> None:
    assert "was not accepted by a socket" in chain_text.show(recording(*SERVED[:5]))


def test_a_recording_can_be_written_and_read() -> None:
    process = recording(*SERVED, roles={"hello": "view 'hello'"}).processes[0]
    again = read(write(process))
    assert again.functions == process.functions
    assert [call.args for call in again.calls] == [call.args for call in process.calls]
    assert write(again) == write(process)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 0}', '{"format": 1}'])
def test_a_text_that_is_not_a_recording_is_refused(text: str) -> None:
    with pytest.raises(UnreadableRecording):
        read(text)
