"""A document becomes a page whose texts are not read as markup, and a PDF."""

from __future__ import annotations

import re
import sys
from collections import Counter
from html.parser import HTMLParser

import pytest

from carboy.dev.report import html, pdf
from carboy.dev.report.characters import visible
from carboy.dev.report.document import (
    Diagram,
    Document,
    Heading,
    Linked,
    Listing,
    Message,
    Numbered,
    Paragraph,
    SequenceDiagram,
)
from report_blocks import NASTY, every_block, expected

NAMES = {
    "ol": "numbered", "ul": "bullets", "li": "item", "a": "link", "pre": "listing",
    "table": "table", "tr": "row", "td": "cell", "strong": "strong",
}  # fmt: skip


class Reader(HTMLParser):
    """Counts the elements below <main> and collects their texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.text = ""
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open += [] if tag in ("meta", "path", "line", "rect") else [tag]
        self.tags[tag] += "main" in self.open

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "main" in self.open:
            self.text += data


def test_every_text_is_shown_as_it_is():
    for text in NASTY:
        document = Document("Title", every_block(text))
        read = Reader(html.render(document))
        assert not read.open
        counts = Counter({NAMES[tag]: count for tag, count in read.tags.items() if tag in NAMES})
        wanted = expected(document)
        # A page has its title in front of the table of contents.
        assert counts == Counter({name: wanted[name] for name in NAMES.values()})
        assert read.tags["h2"] + read.tags["h3"] == wanted["heading"] - 1
        assert "script" not in read.tags
        shown = re.sub(r"\s+", " ", visible(text)).strip()
        assert re.sub(r"\s+", " ", read.text).count(shown) >= 20


def test_the_contents_lead_to_each_heading():
    headings = [Heading(2, "Same"), Heading(2, "Same"), Heading(3, "#"), Heading(4, "Deep")]
    page = html.render(Document("Title", headings))
    anchors = re.findall(r'<a href="#([^"]+)">', page)
    assert anchors == ["same", "same-2", "section"]
    assert all(page.count(f'id="{anchor}"') == 1 for anchor in anchors)


def test_lines_have_numbers_marks_colours_and_gaps():
    listing = Listing('def f():\n    """a\n    x', "python", numbers=[9, 12, 13], marked={13})
    page = html.render(Document("Title", [listing]))
    assert '<i>9</i><span class="keyword">def</span> f():' in page
    assert '<span class="line"><i>…</i></span><span class="line"><i>12</i>' in page
    assert '<span class="line marked"><i>13</i>    x' in page  # the gap may have ended the string


def test_a_list_goes_on_with_its_number():
    page = html.render(Document("Title", [Numbered([[Paragraph("x")]], first=18)]))
    assert '<ol start="18" style="counter-reset: list-item 17">' in page


def test_a_link_cannot_run_code():
    page = html.render(Document("Title", [Paragraph([Linked("x", "javascript:alert(1)")])]))
    assert "javascript" not in page


def test_a_pdf_has_the_title_and_its_pages():
    pytest.importorskip("weasyprint")
    diagram = Diagram(SequenceDiagram(["a", "b"], [Message("a", "b", "GET /")]))
    blocks = [*every_block("<b> | `x`"), diagram]
    made = pdf.render(Document("A report", blocks))
    assert made.startswith(b"%PDF-")
    assert made.rstrip().endswith(b"%%EOF")


def test_a_missing_library_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(pdf.NotAvailable, match=r"pip install 'carboy\[pdf\]'"):
        pdf.check()


def test_missing_libraries_of_pango_are_named_with_the_command_that_installs_them(
    tmp_path, monkeypatch
):
    (tmp_path / "weasyprint.py").write_text("raise OSError('cannot load library libpango')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "weasyprint", raising=False)
    with pytest.raises(pdf.NotAvailable, match="apt install libpango-1.0-0 libpangoft2-1.0-0"):
        pdf.check()
