"""The contract of engine.py, on each engine that carries messages between machines."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from carboy import engine_url
from carboy.cli.main import make_group
from carboy.realtime.engine import EngineError, Message, Subscribers
from carboy.realtime.engines.choice import engine_at
from carboy.realtime.options import options
from carboy.server.serve import serve
from carboy.server.settings import Settings
from carboy.serving import run_simple
from event_client import EventClient
from realtime.engine_hub import Recorder, rules_of
from realtime_server import until
from running import PATIENCE, Running


def test_a_message_reaches_all_processes_that_have_attached_its_channel(url: str) -> None:
    with Recorder(url) as one, Recorder(url) as two, Recorder(url) as three:
        for each in (one, two):
            replay = each.attach("room:7")
            assert replay.complete
            assert not replay.messages
        three.attach("room:8")
        sent = one.engine.publish(Message("room:7", "hello", "greeting"))
        assert sent.id
        assert sent.order
        three.engine.publish(Message("room:7", b"\x00\xff\n"))
        three.engine.publish(Message("room:8", "ключ\n", id="my own"))
        for each in (one, two):
            first, second = each.got("hello", b"\x00\xff\n")
            assert first == sent
            assert second.order > first.order
        (message,) = three.got("ключ\n")
        assert (message.id, message.event) == ("my own", None)


def test_a_large_message_is_carried(url: str) -> None:
    with Recorder(url) as recorder:
        recorder.attach("room")
        text, data = "ä" * 50_000, bytes(range(256)) * 400
        recorder.engine.publish(Message("room", text))
        recorder.engine.publish(Message("room", data))
        recorder.got(text, data)


def test_a_message_above_the_limit_is_refused_before_it_is_sent(url: str) -> None:
    engine = engine_at(url, rules_of(), largest=10)
    try:
        for data in ("x" * 11, b"x" * 11, "é" * 6):
            with pytest.raises(ValueError, match=r"longer than --channel-max-message \(10 bytes\)"):
                engine.publish(Message("room", data))
        assert engine.publish(Message("room", "é" * 5)).order
    finally:
        engine.stop(PATIENCE)


def test_messages_of_all_channels_come_in_one_order_from_one_thread(url: str) -> None:
    with Recorder(url) as recorder, Recorder(url) as other:
        for channel in "abc":
            recorder.attach(channel)

        def publish(engine: Any, channel: str) -> None:
            for number in range(30):
                engine.publish(Message(channel, f"{channel}{number}"))

        threads = [
            threading.Thread(target=publish, args=(each.engine, channel))
            for each, channel in ((recorder, "a"), (other, "b"), (other, "c"))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        recorder.until(lambda: len(recorder.messages) == 90, "90 messages")
        orders = [each.order for each in recorder.messages]
        assert orders == sorted(set(orders))
        assert len(recorder.threads) == 1


def test_a_channel_that_is_detached_is_not_delivered(url: str) -> None:
    with Recorder(url) as recorder:
        for channel in ("a", "a", "b"):
            recorder.attach(channel)
        recorder.engine.detach("a")
        recorder.engine.publish(Message("a", "1"))
        recorder.got("1")
        recorder.engine.detach("a")
        recorder.attach("c")  # after the detachment, in the order of the calls
        recorder.engine.publish(Message("a", "2"))
        recorder.engine.publish(Message("b", "3"))
        recorder.got("1", "3")
        recorder.attach("a")
        recorder.engine.publish(Message("a", "4"))
        recorder.got("1", "3", "4")


def test_a_client_gets_what_it_has_missed(url: str) -> None:
    with Recorder(url) as recorder:
        publish = recorder.engine.publish
        ids = [publish(Message("room", str(number))).id for number in range(5)]
        other = publish(Message("other", "x")).id
        own = publish(Message("room", "own", id="own id"))
        publish(Message("room", "last"))
        replay = recorder.attach("room", ids[2])
        assert [each.data for each in replay.messages] == ["3", "4", "own", "last"]
        assert replay.complete
        replay = recorder.attach("room", "own id")
        assert [each.data for each in replay.messages] == ["last"]
        assert replay.complete
        # An id says how far a client has read in all of its channels.
        replay = recorder.attach("room", other)
        assert [each.data for each in replay.messages] == ["own", "last"]
        assert replay.complete
        replay = recorder.attach("never used", ids[2])
        assert (list(replay.messages), replay.complete) == ([], True)
        assert own.id == "own id"
        assert not recorder.messages


@pytest.mark.parametrize("after", ["unknown", "0", "1", "0-0", "ffffffff-5", "-1", "9" * 40, "ä"])
def test_an_id_that_is_not_known_is_not_complete(url: str, after: str) -> None:
    with Recorder(url) as recorder:
        recorder.engine.publish(Message("room", "0"))
        for number in range(105):
            recorder.engine.publish(Message("room", str(number)))
        assert not recorder.attach("room", after).complete


def test_a_history_has_as_many_messages_as_the_rule_says(url: str) -> None:
    with Recorder(url, rules_of(history=3)) as recorder:
        ids = [recorder.engine.publish(Message("room", str(number))).id for number in range(6)]
        replay = recorder.engine.history("room")
        assert [each.data for each in replay.messages] == ["3", "4", "5"]
        assert recorder.engine.history("room", ids[2]).complete
        assert not recorder.engine.history("room", ids[1]).complete
        assert recorder.engine.history("room", ids[5]).complete
        assert not recorder.engine.history("other").messages


def test_without_a_history_nothing_is_kept(url: str) -> None:
    with Recorder(url, rules_of(history=0)) as recorder:
        recorder.attach("room")
        first = recorder.engine.publish(Message("room", "0")).id
        assert recorder.engine.history("room", first).complete
        last = recorder.engine.publish(Message("room", "1")).id
        recorder.got("0", "1")
        assert not recorder.engine.history("room").messages
        assert not recorder.engine.history("room", first).complete
        assert recorder.engine.history("room", last).complete


def test_a_history_has_only_messages_that_are_young_enough(url: str) -> None:
    with Recorder(url, rules_of(seconds=0.2)) as recorder:
        first = recorder.engine.publish(Message("room", "0")).id
        recorder.engine.publish(Message("room", "1"))
        ended = threading.Event()
        while recorder.engine.history("room").messages:
            ended.wait(0.02)
        assert not recorder.engine.history("room", first).complete


def test_an_engine_that_is_not_started_can_publish(url: str) -> None:
    with Recorder(url) as recorder:
        recorder.attach("room")
        script = engine_at(url, rules_of())
        sent = script.publish(Message("room", "from a script"))
        assert recorder.got("from a script") == [sent]
        assert [each.data for each in script.history("room").messages] == ["from a script"]
        with pytest.raises(RuntimeError, match="not been started"):
            script.detach("room")
        script.stop(1)


# --- presence ----------------------------------------------------------------------------


def test_connections_are_counted_over_all_processes(url: str) -> None:
    with Recorder(url) as one, Recorder(url) as two:
        for recorder, name in ((one, "ada"), (one, "ada"), (two, "ada"), (two, None)):
            recorder.engine.join("room", name)
        one.engine.join("room", "grace")
        for each in (one, two):
            each.attach("x")  # after that, in the order of the calls
            each.attach("x")
        assert one.engine.subscribers("room") == Subscribers(5, {"ada": 3, "grace": 1})
        assert two.engine.subscribers("empty") == Subscribers(0, {})
        one.engine.leave("room", "ada")
        one.engine.leave("room", "grace")
        one.attach("x")
        assert two.engine.subscribers("room") == Subscribers(3, {"ada": 2})
        two.engine.stop(PATIENCE)
        assert one.engine.subscribers("room") == Subscribers(1, {"ada": 1})


def test_the_first_and_the_last_connection_of_a_name_are_published(url: str) -> None:
    rules = rules_of(presence=True)
    with Recorder(url, rules) as one, Recorder(url, rules) as two:
        one.attach("room")
        for recorder in (one, two):
            recorder.engine.join("room", "ada")
            recorder.engine.join("room", None)
            recorder.attach("x")
        two.engine.leave("room", "ada")
        two.attach("x")
        one.engine.leave("room", "ada")
        one.engine.join("room", "grace")
        one.until(lambda: len(one.messages) == 3, "three messages")
        found = {(each.event, json.loads(each.data)["name"]) for each in one.messages}
        assert found == {("join", "ada"), ("leave", "ada"), ("join", "grace")}


# --- an engine that stops and starts ------------------------------------------------------


def test_after_a_restart_nothing_is_missing(url: str, server: Any) -> None:
    with Recorder(url) as recorder, Recorder(url) as other:
        recorder.attach("room")
        recorder.attach("other")
        recorder.engine.join("room", "ada")
        other.engine.publish(Message("room", "before"))
        recorder.got("before")
        server.stop()
        recorder.engine.detach("other")
        recorder.until(lambda: "Channels are interrupted" in recorder.log, "log")
        with pytest.raises(EngineError, match="cannot be"):
            other.engine.publish(Message("room", "lost"))
        server.start()
        # Published by another process, maybe before this one has connected again.
        sent = [other.engine.publish(Message("room", str(number))) for number in range(5)]
        assert recorder.got("before", "0", "1", "2", "3", "4")[1:] == sent
        assert not recorder.losses
        late = recorder.attach("late", sent[2].id)
        assert late.complete
        recorder.engine.publish(Message("late", "5"))
        recorder.got("before", "0", "1", "2", "3", "4", "5")
        assert recorder.engine.subscribers("room").names == {"ada": 1}
        recorder.until(lambda: "can be reached again" in recorder.log, "log")
        assert recorder.log.count("Channels are interrupted") <= 2  # once for each engine


def test_messages_are_kept_while_the_engine_is_down_if_the_url_says_so(
    url: str, server: Any
) -> None:
    with Recorder(url) as recorder:
        recorder.attach("room")
        buffering = engine_at(f"{url}&when_down=buffer&buffer=3", rules_of())
        server.stop()
        for number in range(3):
            kept = buffering.publish(Message("room", str(number)))
            assert (kept.id, kept.order) == ("", 0)
        with pytest.raises(EngineError, match="the buffer of 3 messages is full"):
            buffering.publish(Message("room", "3"))
        server.start()
        recorder.got("0", "1", "2")
        recorder.until(lambda: "3 messages were kept and have been" in recorder.log, "log")
        assert buffering.publish(Message("room", "4")).id
        recorder.got("0", "1", "2", "4")
        buffering.stop(1)


def test_a_worker_starts_while_the_engine_is_down(url: str, server: Any) -> None:
    server.stop()
    with Recorder(url) as recorder:
        ready = threading.Event()
        recorder.engine.attach("room", None, lambda replay: ready.set())
        recorder.until(lambda: "Channels are interrupted" in recorder.log, "log")
        server.start()
        assert ready.wait(PATIENCE)
        recorder.engine.publish(Message("room", "1"))
        recorder.got("1")


def test_hubs_are_told_when_messages_may_be_missing(url: str, server: Any) -> None:
    rules = rules_of(history=0)
    with Recorder(url, rules) as recorder:
        recorder.attach("room")
        recorder.attach("quiet")
        server.stop()
        server.start()
        other = engine_at(url, rules)
        # Published until one has been missed or received: the engine may connect first.
        for number in range(1000):
            other.publish(Message("room", str(number)))
            with recorder.changed:
                if recorder.changed.wait_for(lambda: recorder.messages or recorder.losses, 0.05):
                    break
        first = recorder.messages[0].data if recorder.messages else None
        assert recorder.losses == [["room"]] or first == "0"
        other.stop(1)


# --- URLs --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://x", "is not the URL of an engine"),
        ("redis://x?when_down=wait", "Use raise or buffer"),
        ("redis://x?buffer=0", "is not a number of messages"),
        ("redis://x?prefix=a b", "Use letters and digits"),
        ("redis://x?when_dwon=buffer", "Did you mean 'when_down'"),
        ("redis://x:port", "has no port that can be used"),
        ("nats://x:70000", "has no port that can be used"),
        ("redis://x/first", "Redis has numbers"),
        ("memory:", "cannot carry channels"),
    ],
)
def test_a_wrong_url_is_an_error(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        engine_at(url, rules_of())


@pytest.mark.parametrize("scheme", ["redis", "postgresql", "nats"])
def test_a_publisher_does_not_wait_longer_than_it_says(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        engine = engine_at(f"{scheme}://127.0.0.1:{port}", rules_of())
        for ask in (
            lambda: engine.publish(Message("room", "x"), timeout=0.1),
            lambda: engine.history("room", timeout=0.1),
            lambda: engine.subscribers("room", timeout=0.1),
        ):
            with pytest.raises(EngineError, match=r"has not answered within 0\.1 s"):
                ask()
    engine.stop(1)


WRONG = "redis://x?when_down=wait"
TOLD = "when_down=wait is not an option of channels. Use raise or buffer."


@pytest.mark.parametrize("command", ["run", "dev"])
def test_a_wrong_url_is_an_error_when_the_server_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(make_group(), [command, "app", "--channels", WRONG])
    assert result.exit_code == 2
    assert f"--channels: {TOLD}" in result.output


def test_a_wrong_url_is_an_error_of_serve() -> None:
    with pytest.raises(ValueError, match=f"--channels: {re.escape(TOLD)}"):
        serve(lambda environ, start: [], channels=WRONG)


def test_a_wrong_url_ends_run_simple_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CARBOY_CHANNELS", WRONG)
    with pytest.raises(SystemExit) as ended:
        run_simple("127.0.0.1", 0, lambda environ, start: [])
    assert ended.value.code == 1
    assert f"CARBOY_CHANNELS: {TOLD}" in capsys.readouterr().err


def test_a_missing_package_is_an_error_when_the_server_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_url, "find_spec", lambda module: None)
    with pytest.raises(ValueError, match=r"needs the package nats-py.*carboy\[nats\]"):
        Settings(channels="nats://localhost")


def test_a_script_has_the_limit_of_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CARBOY_CHANNELS_SETTINGS", raising=False)
    monkeypatch.setenv("CARBOY_CHANNELS", "redis://localhost")
    monkeypatch.setenv("CARBOY_CHANNEL_MAX_MESSAGE", "2k")
    assert (options().url, options().max_message) == ("redis://localhost", 2048)
    monkeypatch.setenv("CARBOY_CHANNEL_MAX_MESSAGE", "much")
    with pytest.raises(ValueError, match="CARBOY_CHANNEL_MAX_MESSAGE: 'much' is not a size"):
        options()


# --- the whole way -----------------------------------------------------------------------

APPLICATION = """
from carboy import Carboy, hold, publish, request

app = Carboy(__name__)

@app.get("/hold")
def stream():
    return hold("room")

@app.post("/publish")
def send():
    return publish("room", request.get_data(as_text=True)).id
"""


def test_two_servers_with_one_engine_share_their_channels(url: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APPLICATION)
    command = ("run", "app", "--port", "0", "--channels", url)
    with Running(*command, cwd=tmp_path) as one, Running(*command, cwd=tmp_path) as two:
        with httpx.Client(timeout=PATIENCE) as client:
            addresses = ["http://{}:{}".format(*each.address()) for each in (one, two)]
            first = client.post(f"{addresses[0]}/publish", content="before").text
            with client.stream(
                "GET", f"{addresses[1]}/hold", headers={"Last-Event-ID": first}
            ) as response:
                lines = response.iter_lines()
                second = client.post(f"{addresses[0]}/publish", content="hello").text
                assert list(lines_of(lines)) == [f"id: {second}", "data: hello"]
        assert one.stop() == 0
        assert two.stop() == 0


def test_the_clients_of_a_server_that_stops_leave_at_once(redis: Any, tmp_path: Path) -> None:
    """Not when the note of its process expires."""
    url = f"{redis.url}?prefix=leaving"
    (tmp_path / "app.py").write_text(APPLICATION)
    other = engine_at(url, rules_of())
    with (
        Running("run", "app", "--port", "0", "--channels", url, cwd=tmp_path) as server,
        EventClient(server.address(), "/hold"),
    ):
        until(lambda: other.subscribers("room").count == 1, "the client has come")
        assert server.stop() == 0
        assert other.subscribers("room").count == 0
    other.stop(1)


def lines_of(lines: Iterator[str]) -> Iterator[str]:
    """The lines of the first event with an id, in the order of their names."""
    found = []
    for line in lines:
        if line.startswith(("id:", "data:")):
            found.append(line)
        elif not line and any(each.startswith("id:") for each in found):
            break
        elif not line:
            found.clear()
    yield from sorted(found, reverse=True)
