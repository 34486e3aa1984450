"""Applications that replace Python's threads; gevent and eventlet themselves are not installed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from carboy.server import monkey_patching
from running import Running

# What gevent.monkey.patch_all() does to threading, as far as it matters here.
APP = """
import threading

def start_new_thread(function, args, kwargs={}):
    return 1

start_new_thread.__module__ = "gevent.thread"
for name in ("_start_new_thread", "_start_joinable_thread"):
    if hasattr(threading, name):
        setattr(threading, name, start_new_thread)

def app(environ, start_response):
    start_response("200 OK", [])
    return [b"never"]
"""


@pytest.mark.parametrize("how", [("--no-supervisor",), ("-w", "1"), ("-w", "2")])
def test_an_application_that_replaces_threads_is_refused(
    tmp_path: Path, how: tuple[str, ...]
) -> None:
    (tmp_path / "service.py").write_text(APP)
    with Running("run", "service", "-p", "0", *how, cwd=tmp_path) as server:
        assert server.wait() == 1
        assert server.text().count("replaced Python's threads with coroutines of gevent") == 1


def test_threads_that_a_debugger_starts_its_own_way_are_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = getattr(threading, "_start_new_thread", None)

    def start(*args: object) -> object:
        return original(*args)  # type: ignore[misc]

    monkeypatch.setattr(threading, "_start_new_thread", start, raising=False)
    assert monkey_patching.replaced_by() is None
