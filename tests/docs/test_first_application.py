"""README.md's first application does what README.md says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from chromium import chromium
from running import PATIENCE, Running

pytestmark = pytest.mark.xdist_group("chromium")

README = Path(__file__).parents[2] / "README.md"


def test_a_saved_change_shows_in_the_browser_by_itself(tmp_path: Path) -> None:
    text = README.read_text()
    code = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[0]
    assert "Save this as `hello.py`" in text
    file = tmp_path / "hello.py"
    file.write_text(code)
    with Running("dev", "hello:app", "-p", "0", cwd=tmp_path) as server, chromium() as browser:
        host, port = server.address()
        page = browser.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.goto(f"http://{host}:{port}/?name=Ada")
        expect(page.locator("body")).to_have_text("Hello, Ada!")
        file.write_text(code.replace("Hello", "Good evening"))
        expect(page.locator("body")).to_have_text("Good evening, Ada!")
