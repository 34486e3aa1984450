"""Signals: which are sent, in which order, with what."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading

import blinker
import pytest

from carboy.app import signals
from running import in_a_fresh_process

SIGNALS = [
    "appcontext_pushed",
    "request_started",
    "request_finished",
    "got_request_exception",
    "request_tearing_down",
    "appcontext_tearing_down",
    "appcontext_popped",
    "message_flashed",
]


@pytest.mark.parametrize("path", ["/", "/flash", "/boom", "/missing", "/handled"])
def test_signals_are_sent_in_the_same_order(pair, path) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        app.secret_key = "k"

        def receiver(name):
            def receive(sender, **values):
                shown = {
                    key: type(value).__name__ if key != "message" else value
                    for key, value in values.items()
                    if not key.startswith("_")
                }
                log.append((name, sender is app, shown, fl.has_request_context()))

            return receive

        app.kept = [receiver(name) for name in SIGNALS]
        for name, function in zip(SIGNALS, app.kept, strict=True):
            getattr(fl, name).connect(function, app)
        app.before_request(lambda: log.append("before"))
        app.teardown_request(lambda exc: log.append("teardown request"))
        app.teardown_appcontext(lambda exc: log.append("teardown context"))
        app.add_url_rule("/", "v", lambda: "a")
        app.add_url_rule("/flash", "f", lambda: fl.flash("m", "c") or "f")
        app.add_url_rule("/boom", "b", lambda: 1 // 0)
        app.add_url_rule("/handled", "h", lambda: {}["x"])
        app.register_error_handler(KeyError, lambda e: "handled")
        return app

    pair(build, path)


def test_a_receiver_that_is_a_coroutine_runs(pair) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")

        async def receive(sender, **values):
            log.append("received")

        app.kept = receive
        fl.request_started.connect(receive, app)
        app.add_url_rule("/", "v", lambda: "a")
        return app

    pair(build, "/", status=200)


def test_only_receivers_of_this_application_are_called(pair) -> None:
    def build(fl, log):
        app, other = fl.Flask("scenario"), fl.Flask("other")

        def receive(sender, **values):
            log.append("other")

        app.kept = receive
        fl.request_started.connect(receive, other)
        app.add_url_rule("/", "v", lambda: "a")
        return app

    pair(build, "/", status=200)


def test_a_disconnected_receiver_is_not_called(pair, fl) -> None:
    app = fl.Flask("scenario")
    app.add_url_rule("/", "v", lambda: "a")
    heard = []
    with fl.request_finished.connected_to(lambda sender, **extra: heard.append(1), app):
        pair.call_direct(app, pair.Req("/"))
    pair.call_direct(app, pair.Req("/"))
    assert heard == [1]


def test_blinker_loads_with_the_first_signal_asked_for() -> None:
    code = (
        "import sys, carboy; app = carboy.Carboy('x'); app.app_context().push();"
        "assert 'blinker' not in sys.modules; carboy.request_started;"
        "assert 'blinker' in sys.modules;"
        "from carboy.app.signals import _signals;"
        "assert _signals.signal('request-started') is carboy.request_started"
    )
    subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"], check=True
    )


def test_a_name_that_is_not_a_signal_is_not_an_attribute() -> None:
    with pytest.raises(AttributeError):
        signals.nothing  # noqa: B018


@in_a_fresh_process
def test_two_threads_that_are_the_first_to_ask_get_the_same_signal() -> None:
    made: list[blinker.Namespace] = []
    both_are_making_signals = threading.Barrier(2)

    class Namespace(blinker.Namespace):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)
            with contextlib.suppress(threading.BrokenBarrierError):
                both_are_making_signals.wait(0.5)

    blinker.Namespace = Namespace  # type: ignore[misc]
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(signals.request_started)) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert found == [signals.request_started] * 2
