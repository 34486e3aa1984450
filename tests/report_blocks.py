"""Blocks of reports with texts that may be read as markup, and what must be in their rendering."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from carboy.dev.report.document import (
    Block,
    Bullets,
    Code,
    Diagram,
    Document,
    Heading,
    Linked,
    Listing,
    Numbered,
    Paragraph,
    Span,
    Strong,
    Table,
    Text,
    spans_of,
)

NASTY = [
    "a | b", "`", "``", "` `", "``` x", "[a](b)", "![a](b)", "a\nb", "<script>alert(1)</script>",
    "*a*", "**a**", "__init__", "_a_", "a_b_c", "# a", "a #", "1. a", "1) a", "- a", "+ a", "> a",
    "---", "===", "\\", "\\|", "|", "a\\", "&amp;", "~~a~~", "    a", "\ta", "<http://a.b>", "é",
    "\x00\x1b[31m", "\u202eabc", "\ud800", "$a$", "~~~", "``` ```", "a  ", "  a", "''", '"', "!",
    "http://a.b/c", "www.a.b", "a@b.c", ":---", "<!-- -->", "x" * 5000, "a\n\n\nb", "[a]: b", "1.",
    "-", "#", "a\r\nb", "a\u2028b",
]  # fmt: skip


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


def nested(text: str) -> list[Block]:
    code = Listing(f"def f():\n\n    {text}\n", "python", 9, {11})
    inner = Bullets([[Paragraph(text), code, Paragraph(text)], [Paragraph(["in: ", Code(text)])]])
    item: list[Block] = [Paragraph([Strong("Title"), f": {text}"]), inner, code]
    return [Numbered([item] * 3, first=9), Numbered([[Paragraph(text)]]), inner, Paragraph(text)]


def every_block(text: str) -> list[Block]:
    """Blocks of all kinds with this text, also inside each other."""
    spans: list[Span] = [text, " ", Code(text), " ", Linked(text, f"https://a.b/{text}"), " end"]
    cells: list[list[Text]] = [
        [text, spans],
        [Code(text), [Linked(Code(text), "https://a.b/#L1-L2")]],
    ]
    return [
        Heading(2, text), Paragraph(spans), Table(["a", text], cells), *nested(text),
        Listing(text), Listing(text, "text", 1), Heading(3, spans), Table([text, ""], cells),
    ]  # fmt: skip
