"""A document as Markdown: CommonMark, with the tables of GitHub's flavour."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote

from carboy.dev.report import mermaid
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
    spans_of,
)

# What may be markup inside a line, except underscores inside a word. GitHub also makes links of
# addresses.
SPECIAL = re.compile(
    r"[\\`*\[\]<>|&~$]|!(?=\[)|#(?=#|\s|$)|(?<![^\W_])_+|_+(?![^\W_])|:(?=//)|(?<=\bwww)\."
)
# What is a block at the start of a line: headings, lists, quotations, rules.
STARTS = re.compile(r"[-+=#](?=\s|$|[-+=#])|(?<=\d)[.)](?=\s|$)|:(?=-)")
NUMBER = re.compile(r"\d{1,9}(?=[.)](\s|$))")
MARK = "→"
IN_HTML = re.compile(r"[^\w\s]")


def _entity(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};"


def render(document: Document) -> str:
    """The whole text, which ends with a line feed."""
    blocks: list[Block] = [Heading(1, document.title), *document.blocks]
    return "\n".join(_blocks(blocks)) + "\n"


def _blocks(blocks: Iterable[Block], in_item: bool = False) -> Iterator[str]:
    """The lines of blocks, with an empty line between two blocks."""
    last: Block | None = None
    for block in blocks:
        # A list in an item may follow its paragraph directly, so that the outer list is not loose.
        is_tight = in_item and isinstance(last, Paragraph) and isinstance(block, Numbered | Bullets)
        if last is not None and not is_tight:
            yield ""
        if type(block) is type(last) and isinstance(block, Numbered | Bullets):
            yield from ("<!-- -->", "")  # the two lists would be one
        yield from _block(block)
        last = block


def _block(block: Block) -> Iterator[str]:
    match block:
        case Heading():
            yield f"{'#' * block.level} {_inline(block.text)}"
        case Paragraph():
            yield _start(_inline(block.text))
        case Numbered():
            for number, item in enumerate(block.items, block.first):
                yield from _item(f"{number}.", item)
        case Bullets():
            for item in block.items:
                yield from _item("-", item)
        case Table():
            yield from _table(block)
        case Listing():
            yield from _listing(block)
        case Diagram():
            yield from _fenced(mermaid.render(block.sequence), "mermaid")


def _item(mark: str, blocks: Sequence[Block]) -> Iterator[str]:
    """The lines of an item. All of them are indented as far as its first block."""
    indent = " " * (len(mark) + 1)
    lines = _blocks(blocks, in_item=True)
    yield f"{mark} {next(lines, '')}".rstrip()
    for line in lines:
        yield f"{indent}{line}" if line else ""


def _table(table: Table) -> Iterator[str]:
    yield _row(table.head)
    yield _row(["---"] * len(table.head), is_rule=True)
    for row in table.rows:
        yield _row(row)


def _row(cells: Sequence[Text], is_rule: bool = False) -> str:
    texts = map(str, cells) if is_rule else (_inline(cell, in_table=True) for cell in cells)
    return f"| {' | '.join(texts)} |"


def _listing(listing: Listing) -> Iterator[str]:
    lines = list(listing.lines())
    width = max((len(str(number)) for number, _ in lines if number is not None), default=0)
    texts, before = [], None
    for number, line in lines:
        if number is None:
            texts.append(line)
            continue
        if before is not None and number != before + 1:
            texts.append(f"  {'…':>{width}}")
        mark = MARK if number in listing.marked else " "
        texts.append(f"{mark} {number:>{width}}  {line}".rstrip())
        before = number
    yield from _fenced("\n".join(texts), listing.language)


def _fenced(text: str, language: str) -> Iterator[str]:
    shown = visible(text)
    fence = _fence(shown, 3)
    yield f"{fence}{language}"
    yield from shown.split("\n")
    yield fence


def _inline(text: Text, in_table: bool = False) -> str:
    spans = (_span(span, in_table) for span in spans_of(text))
    return "".join(spans).strip()


def _span(span: Span, in_table: bool) -> str:
    match span:
        case str():
            return _text(span)
        case Strong():
            return f"**{_text(span.text).strip()}**"
        case Code():
            return _code(span.text, in_table)
        case Linked():
            inner = span.text
            if inner == span.url == _url(span.url):
                return f"<{inner}>"
            shown = _text(inner) if isinstance(inner, str) else _code(inner.text, in_table)
            return f"[{shown}]({_url(span.url)})"


def _text(text: str) -> str:
    """Text without markup, in which white space is collapsed."""
    flat = re.sub(r"\s+", " ", visible(text))
    return SPECIAL.sub(lambda found: "".join(f"\\{c}" for c in found[0]), flat)


def _start(line: str) -> str:
    """A line that does not start another block than a paragraph."""
    if number := NUMBER.match(line):
        return f"{number[0]}\\{line[number.end() :]}"
    return f"\\{line}" if STARTS.match(line) else line


def _code(text: str, in_table: bool) -> str:
    """A code span, whatever backticks are in the text (CommonMark, section 6.1)."""
    flat = re.sub(r"\n", " ", visible(text)) or " "
    if in_table and "\\|" in flat:  # programs disagree about where the cell ends
        return f"<code>{IN_HTML.sub(_entity, flat)}</code>"
    fence = _fence(flat, 1)
    is_padded = flat[0] == "`" or flat[-1] == "`" or (flat[0] == flat[-1] == " " != flat.strip())
    space = " " if is_padded and flat.strip() else ""
    found = f"{fence}{space}{flat}{space}{fence}"
    return found.replace("|", "\\|") if in_table else found


def _url(url: str) -> str:
    return quote(visible(url), safe=":/#@+~%?&=,;!$'")


def _fence(text: str, least: int) -> str:
    """Backticks, one more than the text has in a row."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    return "`" * max(least, longest + 1)
