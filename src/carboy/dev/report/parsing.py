"""How the headers were parsed: one value from the bytes to the object, and all header lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from carboy.dev import links
from carboy.dev.explain.value_events import Where
from carboy.dev.explain.value_path import ValuePath
from carboy.dev.explain.value_story import (
    MOST_PASSED,
    WIDTH,
    Deed,
    Ending,
    Quote,
    Row,
    Story,
    StoryStep,
    row_of,
    story_of,
)
from carboy.dev.highlight import is_python
from carboy.dev.report.document import (
    Block,
    Bullets,
    Code,
    Heading,
    Linked,
    Listing,
    Numbered,
    Paragraph,
    Span,
    Strong,
    Table,
    Text,
)

TITLE = "How the headers were parsed"
MOST_ROWS = 64  # of a hex dump
LONGEST = 200  # characters of a header line
BUFFER = "The bytes, as the socket gave them"
OBJECT = "From the bytes to the object"
NO_BYTES = "The recorder saw no call of recv on a socket of the server, so nothing can be followed."
BYTE = "“Byte” is the place of the first byte of the line, counted from 0."
NO_ENVIRON = "No WSGI environ was made for this request."


def blocks(found: ValuePath, is_quoted: bool = True) -> list[Block]:
    """The section about a value, with the lines of code unless `is_quoted` is false."""
    if not found.received:
        return [Heading(2, TITLE), Paragraph(NO_BYTES)]
    story = story_of(found, is_quoted)
    what = f"{story.title[:1].upper()}{story.title[1:]}"
    steps: list[Block] = [Numbered([list(_step(each)) for each in story.steps])]
    how = (
        "The calls are in the order in which they ran. Each of them received, split, decoded,"
        " stored or returned the value. Of each call, the lines that did so are quoted."
    )
    return [
        Heading(2, TITLE),
        Paragraph(f"{what} is followed from the bytes to the code that reads it."),
        *_bytes(found, story),
        *_lines(found),
        Heading(3, OBJECT),
        *([Paragraph(how), *steps] if story.steps else []),
        *_ending(story),
    ]


def _bytes(found: ValuePath, story: Story) -> Iterator[Block]:
    yield Heading(3, BUFFER)
    for sentence, quote in story.received:
        yield Paragraph(f"{sentence}{':' if quote else '.'}")
        if quote is not None:
            yield Paragraph(_place(quote.where))
            yield _listing([quote])
    yield Paragraph(story.place)
    marked = {number for first, size in found.places for number in range(first, first + size)}
    yield Listing("\n".join(_dump(found.data, marked)), "text")


def _dump(data: bytes, marked: set[int]) -> Iterator[str]:
    """A hex dump from the start to the value, at most `MOST_ROWS` rows."""
    end = data.find(b"\r\n\r\n") + 4
    last = max([end - 1, *marked]) // WIDTH
    rows = list(range(last + 1))
    if len(rows) > MOST_ROWS:
        near = sorted({number // WIDTH for number in marked})[: MOST_ROWS // 2]
        rows = sorted({*rows[: MOST_ROWS - len(near)], *near})
    before = -1
    for number in rows:
        if number != before + 1:
            yield "…"
        yield from _row(row_of(data, number * WIDTH, marked))
        before = number
    if (before + 1) * WIDTH < len(data):
        yield f"… {len(data) - (before + 1) * WIDTH:,} more bytes"


def _row(row: Row) -> Iterator[str]:
    yield f"{row.offset:08x}  {row.codes:<{WIDTH * 3}} {row.characters}"
    if row.marks:
        yield f"{'':8}  {'':<{WIDTH * 3}} {row.marks}"


def _lines(found: ValuePath) -> Iterator[Block]:
    """A table of all header lines."""
    head = found.data.partition(b"\r\n\r\n")[0]
    rows: list[Sequence[Text]] = []
    offset = 0
    for line in head.split(b"\r\n"):
        if offset:
            rows.append(_header(line, offset, found.environ))
        offset += len(line) + 2
    if not rows:
        return
    yield Heading(3, "All header lines")
    given = "The last two columns are what the server gave to the application."
    yield Paragraph(f"{BYTE} {given if found.environ else NO_ENVIRON}")
    names = ["key in the environ", "value"] if found.environ else ["name", "value"]
    yield Table(["byte", "line", *names], rows)


def _header(line: bytes, offset: int, environ: dict[str, str]) -> Sequence[Text]:
    text = line.decode("latin-1")
    name, _, value = text.partition(":")
    shown = Code(repr(text)[1:-1][:LONGEST] + ("…" if len(text) > LONGEST else ""))
    if not environ:
        return [f"{offset:,}", shown, Code(name), Code(value.strip())]
    key = name.strip().upper().replace("-", "_")
    for each in (f"HTTP_{key}", key):
        if each in environ:
            return [f"{offset:,}", shown, Code(each), Code(repr(environ[each])[:LONGEST])]
    return [f"{offset:,}", shown, "not in the environ", ""]


def _step(step: StoryStep) -> Iterator[Block]:
    if step.passed_by:
        yield Paragraph(["Passed on inside an argument, first in ", Code(step.path), ", by:"])
        named: list[list[Block]] = [
            [Paragraph([Code(each.function), ", ", *_place(each)])]
            for each in step.passed_by[:MOST_PASSED]
        ]
        yield Bullets([*named, *([[Paragraph(f"{step.more} more")]] if step.more else [])])
        return
    yield Paragraph([Strong(f"{step.where.function}:"), " ", *_function(step.where)])
    facts: list[list[Block]] = []
    if step.caller is not None:
        call: list[Span] = [": ", Code(step.call.source)] if step.call else []
        by = ["called by: ", Code(step.caller.function), ", ", *_place(step.caller), *call]
        facts.append([Paragraph(by)])
    facts += [[Paragraph(_told(deed, step))] for deed in step.deeds]
    yield Bullets(facts)
    if quotes := [deed.quote for deed in step.deeds if deed.quote is not None]:
        yield _listing(quotes)


def _told(deed: Deed, step: StoryStep) -> Text:
    if deed.quote is None:
        return Code(deed.said)
    return [f"line {deed.quote.where.line}: ", Code(deed.said)]


def _ending(story: Story) -> Iterator[Block]:
    for text in (story.cut, story.never):
        if text:
            yield Paragraph(text)
    for ending in story.endings:
        yield Paragraph(_end(ending))
        if ending.quote is not None:
            yield _listing([ending.quote])


def _end(ending: Ending) -> Text:
    found: list[Span] = [Code(ending.function), f" {ending.verb} "]
    if ending.expression:
        found.append(Code(ending.expression))
    if ending.quote is not None:
        found += [", ", *_place(ending.quote.where)]
    return [*found, ":" if ending.quote else "."]


def _listing(quotes: Sequence[Quote]) -> Listing:
    """Quoted lines of one file, each once."""
    sources = {quote.where.line: quote.source for quote in quotes}
    numbers = sorted(sources)
    text = "\n".join(sources[number] for number in numbers)
    file = quotes[0].where.place.file
    return Listing(text, "python" if is_python(file or ".py") else "", numbers=numbers)


def _function(where: Where) -> list[Span]:
    return _linked(where.place.lines, links.link_of(where.place))


def _place(where: Where) -> list[Span]:
    return _linked(where.text, links.link_of(where.place, where.line))


def _linked(text: str, found: links.Link) -> list[Span]:
    if not found.url:
        return [Code(text), f" (no link: {found.note})"]
    return [Linked(Code(text), found.url), f" ({found.note})" if found.note else ""]
