"""A browser for tests, and other programs that may not be installed."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from running import PATIENCE

expect.set_options(timeout=PATIENCE * 1000)  # the default of 5 s is too short on a busy machine

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def program(*names: str) -> str:
    """The path of the first installed program. Without one, the test is skipped; in CI it fails."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{names[0]} is not installed")
        pytest.skip(f"{names[0]} is not installed")
    return found


class _Started:
    """A browser that runs, and the driver of it."""

    def __init__(self) -> None:
        path = program("chromium", "chromium-browser")
        self.driver = sync_playwright().start()
        self.browser = self.driver.chromium.launch(executable_path=path, args=QUIET)
        self.loop = asyncio.get_running_loop()  # the driver leaves it set between its calls

    def close(self) -> None:
        asyncio._set_running_loop(self.loop)
        try:
            self.browser.close()
            self.driver.stop()
        finally:
            asyncio._set_running_loop(None)


_started: list[_Started] = []


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without windows. Those that are opened are closed at the end.

    To start it takes two seconds of the processor, so it runs on until the end of the module.
    Tests in between may run event loops of their own.
    """
    if _started and not _started[0].browser.is_connected():
        _started.pop().close()
    if not _started:
        _started.append(_Started())
    browser = _started[0].browser
    asyncio._set_running_loop(_started[0].loop)
    assert not browser.contexts
    try:
        yield browser
    finally:
        for context in browser.contexts:
            context.close()
        asyncio._set_running_loop(None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, None, None]:
    """Close the browser after the last test of a module."""
    yield
    if _started and (nextitem is None or nextitem.path != item.path):
        _started.pop().close()
