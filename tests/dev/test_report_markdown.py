"""A document becomes Markdown that any reader of CommonMark reads as it is meant."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from carboy.dev.report import markdown
from carboy.dev.report.characters import visible
from carboy.dev.report.document import (
    Block,
    Bullets,
    Code,
    Diagram,
    Document,
    Listing,
    Message,
    Numbered,
    Paragraph,
    SequenceDiagram,
)
from report_blocks import NASTY, every_block, expected

READER = MarkdownIt("commonmark").enable("table")
TEXTS = st.one_of(st.sampled_from(NASTY), st.text(max_size=12)).filter(lambda text: text.strip())


def tokens(source: str):
    for token in READER.parse(source):
        yield token
        yield from token.children or ()


def counts_of(source: str) -> Counter[str]:
    names = {
        "ordered_list_open": "numbered", "bullet_list_open": "bullets", "list_item_open": "item",
        "link_open": "link", "fence": "listing", "code_block": "indented", "table_open": "table",
        "tr_open": "row", "heading_open": "heading", "td_open": "cell", "strong_open": "strong",
        "blockquote_open": "quotation", "em_open": "em", "image": "image", "hr": "rule",
        "code_inline": "code",
    }  # fmt: skip
    return Counter(names[token.type] for token in tokens(source) if token.type in names)


def check(*blocks: Block) -> str:
    document = Document("Title", list(blocks))
    source = markdown.render(document)
    source.encode()
    found = counts_of(source)
    # In a table, code with an escaped bar is HTML, because readers disagree about it.
    found["code"] += sum(token.content == "<code>" for token in tokens(source))
    assert found == expected(document), source
    return source


def flat(text: str) -> str:
    return " ".join(visible(text).split())


def content(source: str) -> str:
    kinds = {"text", "code_inline", "text_special"}
    return "".join(token.content for token in tokens(source) if token.type in kinds)


def test_every_text_keeps_the_structure_in_all_blocks():
    for text in NASTY:
        check(*every_block(text))


@given(TEXTS)
@settings(max_examples=80, deadline=None)
def test_a_text_is_read_as_it_was_written(text: str):
    source = check(Paragraph(text), Bullets([[Paragraph(text)]]))
    assert content(source) == "Title" + flat(text) * 2
    source = check(Paragraph(["x ", Code(text), " y"]))
    code = next(token.content for token in tokens(source) if token.type == "code_inline")
    assert code == visible(text).replace("\n", " ")


@given(TEXTS)
@settings(max_examples=40, deadline=None)
def test_a_listing_is_read_as_it_was_written(text: str):
    source = check(Numbered([[Paragraph("x"), Listing(text)]]))
    code = next(token.content for token in tokens(source) if token.type == "fence")
    assert code == visible(text).removesuffix("\n") + "\n"


def test_lines_of_code_have_their_numbers_and_a_mark():
    source = check(Listing("def f():\n    a\n    b", "python", numbers=[9, 12, 13], marked={12}))
    assert "   9  def f():\n   …\n→ 12      a\n  13      b\n" in source


def test_a_diagram_is_mermaid():
    messages = [Message("a;b", "c", "GET /?a=1#x\nend"), Message("c", "c", "reply", is_reply=True)]
    source = check(Diagram(SequenceDiagram(["a;b", "c"], messages)))
    assert "sequenceDiagram\n    participant a1 as a#59;b\n" in source
    assert "    a1->>a2: GET /?a=1#35;x end\n    a2-->>a2: reply\n" in source
