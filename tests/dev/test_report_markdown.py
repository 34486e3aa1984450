"""A document becomes Markdown that any reader of CommonMark reads as it is meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

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
    Heading,
    Linked,
    Listing,
    Message,
    Numbered,
    Paragraph,
    SequenceDiagram,
    Strong,
    Table,
    Text,
    spans_of,
)

READER = MarkdownIt("commonmark").enable("table")
NASTY = [
    "a | b", "`", "``", "` `", "``` x", "[a](b)", "![a](b)", "a\nb", "<script>alert(1)</script>",
    "*a*", "**a**", "__init__", "_a_", "a_b_c", "# a", "a #", "1. a", "1) a", "- a", "+ a", "> a",
    "---", "===", "\\", "\\|", "|", "a\\", "&amp;", "~~a~~", "    a", "\ta", "<http://a.b>", "é",
    "\x00\x1b[31m", "\u202eabc", "\ud800", "$a$", "~~~", "``` ```", "a  ", "  a", "''", '"', "!",
    "http://a.b/c", "www.a.b", "a@b.c", ":---", "<!-- -->", "x" * 5000, "a\n\n\nb", "[a]: b", "1.",
    "-", "#", "a\r\nb", "a\u2028b",
]  # fmt: skip
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


def expected(document: Document) -> Counter[str]:
    found: Counter[str] = Counter()

    def text(value: Text) -> None:
        for span in spans_of(value):
            found["link"] += isinstance(span, Linked)
            found["strong"] += isinstance(span, Strong)
            found["code"] += isinstance(span, Code) or (
                isinstance(span, Linked) and isinstance(span.text, Code)
            )

    def walk(blocks: Iterable[Block]) -> None:
        for block in blocks:
            match block:
                case Heading() | Paragraph():
                    found["heading"] += isinstance(block, Heading)
                    text(block.text)
                case Numbered() | Bullets():
                    found["numbered" if isinstance(block, Numbered) else "bullets"] += 1
                    found["item"] += len(block.items)
                    for item in block.items:
                        walk(item)
                case Table():
                    found["table"] += 1
                    found["row"] += 1 + len(block.rows)
                    found["cell"] += sum(map(len, block.rows))
                    for row in (block.head, *block.rows):
                        for cell in row:
                            text(cell)
                case Listing() | Diagram():
                    found["listing"] += 1

    walk([Heading(1, document.title), *document.blocks])
    return +found


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


def nested(text: str) -> list[Block]:
    code = Listing(f"def f():\n\n    {text}\n", "python", 9, {11})
    inner = Bullets([[Paragraph(text), code, Paragraph(text)], [Paragraph(["in: ", Code(text)])]])
    item: list[Block] = [Paragraph([Strong("Title"), f": {text}"]), inner, code]
    return [Numbered([item] * 3, first=9), Numbered([[Paragraph(text)]]), inner, Paragraph(text)]


def test_every_text_keeps_the_structure_in_all_blocks():
    for text in NASTY:
        spans = [text, " ", Code(text), " ", Linked(text, f"https://a.b/{text}"), " end"]
        cells = [[text, spans], [Code(text), [Linked(Code(text), "https://a.b/#L1-L2")]]]
        check(
            Heading(2, text), Paragraph(spans), Table(["a", text], cells), *nested(text),
            Listing(text), Listing(text, "text", 1), Heading(3, spans), Table([text, ""], cells),
        )  # fmt: skip


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
