"""A document as one HTML page that needs nothing else, on a screen and on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from markupsafe import Markup, escape

from carboy.dev import highlight
from carboy.dev.report import svg
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
    Numbered,
    Paragraph,
    Span,
    Strong,
    Table,
    Text,
    plain,
    spans_of,
)

STYLE = Path(__file__).with_name("shared") / "report.css"
PAGE = Markup(
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    '<meta name="referrer" content="no-referrer">\n'
    "<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
    "<header>{heading}</header>\n{contents}<main>\n{body}\n</main>\n</body>\n</html>\n"
)
DEEPEST = 3  # level of the headings in the table of contents


def render(document: Document) -> str:
    """The whole page."""
    page = _Page()
    heading = page.block(Heading(1, document.title))
    body = Markup("\n").join(map(page.block, document.blocks))
    return str(
        PAGE.format(
            title=" ".join(visible(plain(document.title)).split()),
            style=Markup(STYLE.read_text("utf-8")),
            heading=heading,
            contents=page.contents(),
            body=body,
        )
    )


class _Page:
    """Renders blocks and remembers the headings."""

    def __init__(self) -> None:
        self._headings: list[tuple[int, str, Markup]] = []
        self._anchors: set[str] = set()

    def contents(self) -> Markup:
        """The table of contents, or nothing for a page without headings."""
        items = [
            Markup('<li class="level-{}"><a href="#{}">{}</a></li>\n').format(level, anchor, text)
            for level, anchor, text in self._headings
            if 1 < level <= DEEPEST
        ]
        if not items:
            return Markup("")
        return Markup("<nav>\n<p>Contents</p>\n<ol>\n{}</ol>\n</nav>\n").format(
            Markup("").join(items)
        )

    def block(self, block: Block) -> Markup:
        """The HTML of one block."""
        match block:
            case Heading():
                return self._heading(block)
            case Paragraph():
                return Markup("<p>{}</p>").format(_inline(block.text))
            case Numbered():
                # The style is for programs that make PDF, which ignore the attribute.
                start = Markup(' start="{}" style="counter-reset: list-item {}"')
                first = start.format(block.first, block.first - 1) if block.first != 1 else ""
                return Markup("<ol{}>\n{}</ol>").format(first, self._items(block.items))
            case Bullets():
                return Markup("<ul>\n{}</ul>").format(self._items(block.items))
            case Table():
                return _table(block)
            case Listing():
                return _listing(block)
            case Diagram():
                return Markup("<figure>{}</figure>").format(Markup(svg.render(block.sequence)))

    def _items(self, items: Sequence[Sequence[Block]]) -> Markup:
        return Markup("").join(
            Markup("<li>{}</li>\n").format(Markup("\n").join(map(self.block, item)))
            for item in items
        )

    def _heading(self, block: Heading) -> Markup:
        text = _inline(block.text)
        anchor = self._anchor(plain(block.text))
        self._headings.append((block.level, anchor, text))
        return Markup('<h{level} id="{anchor}">{text}</h{level}>').format(
            level=block.level, anchor=anchor, text=text
        )

    def _anchor(self, text: str) -> str:
        name = re.sub(r"\W+", "-", text.lower()).strip("-") or "section"
        found, number = name, 1
        while found in self._anchors:
            number += 1
            found = f"{name}-{number}"
        self._anchors.add(found)
        return found


def _table(table: Table) -> Markup:
    head = Markup("").join(Markup("<th>{}</th>").format(_inline(cell)) for cell in table.head)
    rows = Markup("\n").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(Markup("<td>{}</td>").format(_inline(cell)) for cell in row)
        )
        for row in table.rows
    )
    return Markup("<table>\n<thead><tr>{}</tr></thead>\n<tbody>\n{}\n</tbody>\n</table>").format(
        head, rows
    )


def _listing(listing: Listing) -> Markup:
    lines = [(number, visible(text)) for number, text in listing.lines()]
    width = max((len(str(number)) for number, _ in lines if number is not None), default=0)
    style = Markup(' style="--digits: {}ch"').format(width) if width else ""
    made = Markup("").join(_lines(lines, listing))
    return Markup("<pre{}><code>{}</code></pre>").format(style, made)


def _lines(lines: Sequence[tuple[int | None, str]], listing: Listing) -> Iterator[Markup]:
    is_python = listing.language == "python"
    parts = highlight.parts_of("\n".join(text for _, text in lines)) if is_python else {}
    # A line behind a gap may be inside of a string that begins in the gap.
    has_gaps = len(listing.numbers) > 0 and listing.numbers[-1] - listing.numbers[0] >= len(lines)
    before: int | None = None
    for index, (number, text) in enumerate(lines):
        if before is not None and number != before + 1:
            yield Markup('<span class="line"><i>…</i></span>')
        kind = " marked" if number in listing.marked else ""
        margin = Markup("<i>{}</i>").format(number) if number is not None else ""
        shown = escape(text)
        if is_python:
            found = highlight.parts_of(text).get(0, []) if has_gaps else parts.get(index, [])
            shown = highlight.coloured(text, found)
        # The line feed is for programs that read the text only.
        yield Markup('<span class="line{}">{}{}\n</span>').format(kind, margin, shown)
        before = number


def _inline(text: Text) -> Markup:
    return Markup("").join(map(_span, spans_of(text)))


def _span(span: Span) -> Markup:
    match span:
        case str():
            return escape(visible(span))
        case Strong():
            return Markup("<strong>{}</strong>").format(visible(span.text))
        case Code():
            return Markup("<code>{}</code>").format(visible(span.text))
        case Linked():
            return Markup('<a href="{}">{}</a>').format(_address(span.url), _span(span.text))


def _address(url: str) -> str:
    """The address, without one that runs code."""
    return visible(url) if re.match(r"https?://|#", url) else "#"
