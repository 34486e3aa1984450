"""The demo as a user sees it: served by `carboy run`, and opened in Chromium."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from chromium import chromium as launched

pytestmark = pytest.mark.xdist_group("chromium")

NOTES = Path(__file__).parents[2] / "examples" / "notes"
CARBOY = Path(sys.executable).parent / "carboy"
PASSWORD = "correct horse"
WAIT_MS = 60_000  # far longer than any event takes; ends a test that hangs


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("instance")
    server = subprocess.Popen(
        [str(CARBOY), "run", "notes:create_app", "--port", "0", "--no-access-log"],
        cwd=NOTES,
        env={**os.environ, "NOTES_INSTANCE_PATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with server:
        assert server.stdout is not None
        said = []
        for line in server.stdout:
            said.append(line)
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                break
        else:
            pytest.fail(f"the server did not start: {''.join(said)}")
        try:
            yield found[0]
        finally:
            server.terminate()
            rest = server.communicate(timeout=60)[0]
    assert server.returncode == 0, rest
    assert "Traceback" not in rest, rest


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


class Visit:
    """A browser window without cookies of other tests, and the errors it has reported."""

    def __init__(self, context: BrowserContext, address: str, pictures: Path) -> None:
        context.set_default_timeout(WAIT_MS)
        self.page: Page = context.new_page()
        self.address = address
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self._heard(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self._pictures = pictures

    def _heard(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.complaints.append(text)

    def open(self, path: str) -> None:
        self.page.goto(self.address + path)

    def register(self, name: str) -> None:
        self.open("/register")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.locator("main").get_by_role("button", name="Register").click()
        expect(self.page.get_by_role("status")).to_contain_text(f"Welcome, {name}.")

    def write(self, title: str, body: str, colour: str, picture: Path | None = None) -> None:
        page = self.page
        self.open("/notes/new")
        page.get_by_label("Title").fill(title)
        page.locator("#body").fill(body)
        page.locator(f"label:has(input[value={colour}])").click()
        if picture:
            page.get_by_label("Picture").set_input_files(picture)
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("heading", name=title)).to_be_visible()

    def picture(self, name: str) -> None:
        self.page.screenshot(path=self._pictures / f"{name}.png")


@pytest.fixture
def visit(chromium: Browser, address: str, tmp_path: Path) -> Iterator[Visit]:
    size = {"width": 1280, "height": 860}
    # The bottle of the pages is animated without an end, which takes most of a processor.
    with chromium.new_context(viewport=size, reduced_motion="reduce") as context:
        yield Visit(context, address, tmp_path)


def photo(folder: Path, width: int = 480, height: int = 300) -> Path:
    """Hills before an evening sky, as a PNG file."""
    rows = bytearray()
    for y in range(height):
        hill = b"\x18\x40\x42" if y > height * 0.7 else b"\x3c\x6e\x78"
        sky = bytes((250 - y // 4, 190 - y // 8, 140 + y // 6))
        edge = [height * 0.55 + abs(x % 240 - 120) / 3 for x in range(width)]
        rows += b"\0" + b"".join(hill if y > edge[x] else sky for x in range(width))
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(rows))),
        (b"IEND", b""),
    )
    file = folder / "evening.png"
    file.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in parts
        )
    )
    return file


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_user_registers_writes_uploads_searches_and_logs_out(visit, scheme, tmp_path):
    page, name = visit.page, f"ada-{scheme}"
    page.emulate_media(color_scheme=scheme)
    visit.open("/")
    expect(page.get_by_role("heading", name="Pour it in.")).to_be_visible()
    visit.picture("landing")
    visit.register(name)
    visit.write("Sourdough", "80 % water.\n\n- salt\n- four folds", "amber")
    visit.picture("note")
    visit.write("View from the hut", "Blue until five.", "rose", photo(tmp_path))
    shown = page.get_by_role("img", name="Picture of “View from the hut”")
    expect(shown).to_be_visible()
    assert shown.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [480, 300]
    visit.open("/")
    expect(page.get_by_role("article")).to_have_count(3)
    visit.picture("list")

    search = page.get_by_role("searchbox")
    search.fill("FOLDS")
    search.press("Enter")
    expect(page.get_by_role("heading", name="1 note with “FOLDS”")).to_be_visible()
    expect(page.locator("mark")).to_have_text("folds")

    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Create an account")).to_be_visible()
    visit.open("/notes/new")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{visit.address}/notes/new")
    assert visit.complaints == []
    assert {file.stem for file in tmp_path.glob("*.png")} >= {"landing", "note", "list"}


def test_a_note_is_changed_pinned_and_deleted(visit):
    page = visit.page
    visit.register("grace")
    visit.write("Balcony", "Basil", "bottle")
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Title").fill("Garden")
    page.get_by_text("Pin", exact=True).click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Garden")).to_be_visible()
    expect(page.get_by_text("Pinned")).to_be_visible()
    page.get_by_label("Delete this note").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_role("status")).to_contain_text("“Garden” is deleted.")
    assert visit.complaints == []


def test_an_upload_that_is_not_a_picture_is_refused_and_the_text_is_kept(visit, tmp_path):
    page = visit.page
    visit.register("mallory")
    fake = tmp_path / "fake.png"
    fake.write_text("<script>alert(1)</script>")
    visit.open("/notes/new")
    page.get_by_label("Title").fill("A trick")
    page.get_by_label("Picture").set_input_files(fake)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("This is not a PNG")).to_be_visible()
    expect(page.get_by_label("Title")).to_have_value("A trick")


def test_a_choice_of_light_or_dark_is_kept(visit):
    ground = "getComputedStyle(document.body).backgroundColor"
    visit.open("/")
    before = visit.page.evaluate(ground)
    visit.page.get_by_role("button", name="Switch between light and dark").click()
    after = visit.page.evaluate(ground)
    assert before != after
    visit.open("/login")
    assert visit.page.evaluate(ground) == after


def test_every_page_fits_a_phone(visit, tmp_path):
    visit.page.set_viewport_size({"width": 360, "height": 740})
    visit.register("ida")
    visit.write("A-long-title-in-one-word-" * 4, "word" * 80, "cobalt", photo(tmp_path))
    note = visit.page.url.removeprefix(visit.address)
    for path in ("/", note, f"{note}/edit", "/account", "/nowhere"):
        visit.open(path)
        width = visit.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 360, f"{path} is {width} wide"


def test_everything_works_without_scripts(chromium, address, tmp_path):
    with chromium.new_context(java_script_enabled=False, reduced_motion="reduce") as context:
        visit = Visit(context, address, tmp_path)
        visit.register("plain")
        visit.write("Plain", "No script ran.", "sea", photo(tmp_path))
        visit.page.get_by_role("link", name="All notes").click()
        expect(visit.page.get_by_role("article")).to_have_count(2)
