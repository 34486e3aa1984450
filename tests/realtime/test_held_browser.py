"""An EventSource of a real browser continues on another worker."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from chromium import chromium
from realtime_server import post, start
from running import PATIENCE

LONG = 1000 * PATIENCE  # milliseconds
LISTEN = """
() => {
    window.got = [];
    window.opened = 0;
    const source = new EventSource("/events?channel=page");
    source.onopen = () => window.opened++;
    source.onmessage = (event) => window.got.push(event.data);
}
"""


@pytest.mark.xdist_group("chromium")
def test_a_page_gets_each_message_once_while_workers_are_replaced(tmp_path: Path) -> None:
    with start(tmp_path) as server, chromium() as browser:
        host, port = server.address()
        page = browser.new_page()
        page.goto(f"http://{host}:{port}/quick")
        page.evaluate(LISTEN)
        page.wait_for_function("window.opened === 1", timeout=LONG)
        post(server.address(), "/publish/page", "1")
        page.wait_for_function("window.got.length === 1", timeout=LONG)
        server.send(signal.SIGHUP)
        server.line("All workers have been replaced")
        post(server.address(), "/publish/page", "2")
        page.wait_for_function("window.got.length >= 2", timeout=LONG)
        post(server.address(), "/publish/page", "3")
        page.wait_for_function("window.got.length >= 3", timeout=LONG)
        assert page.evaluate("window.got") == ["1", "2", "3"]
        page.wait_for_function("window.opened >= 2", timeout=LONG)
        assert server.stop() == 0
