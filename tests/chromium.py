"""A browser for tests, and other programs that may not be installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
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


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, which is closed at the end."""
    path = program("chromium", "chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        try:
            yield browser
        finally:
            browser.close()
