"""The blocks of a report. They hold plain text; each renderer escapes it for its own form.

A text is a span, such as a `str`, or several spans. White space in it is collapsed, except in code.
Only the items of lists have blocks inside.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Code:
    """Text in a fixed-width font, on one line."""

    text: str


@dataclass(frozen=True, slots=True)
class Strong:
    """Text in bold letters. White space or punctuation follows it."""

    text: str


@dataclass(frozen=True, slots=True)
class Linked:
    """A text that is a link."""

    text: str | Code
    url: str


Span = str | Code | Strong | Linked
Text = Span | Sequence[Span]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; the title of the document has level 1."""

    level: int
    text: Text


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph."""

    text: Text


@dataclass(frozen=True, slots=True)
class Numbered:
    """A numbered list, each item of which has blocks."""

    items: Sequence[Sequence[Block]]
    first: int = 1


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list, each item of which has blocks."""

    items: Sequence[Sequence[Block]]


@dataclass(frozen=True, slots=True)
class Table:
    """A table. Each row has as many cells as the head."""

    head: Sequence[Text]
    rows: Sequence[Sequence[Text]]


@dataclass(frozen=True, slots=True)
class Listing:
    """Lines of code or of other text, as they are.

    The lines are numbered from `first_line`, or have the `numbers`, between which some may be
    missing. `marked` are the numbers of the lines that matter.
    """

    text: str
    language: str = ""
    first_line: int | None = None
    marked: Collection[int] = ()
    numbers: Sequence[int] = ()

    def lines(self) -> Iterator[tuple[int | None, str]]:
        """The lines with their numbers; None where the listing has none."""
        texts = self.text.removesuffix("\n").split("\n")
        if self.numbers:
            return zip(self.numbers, texts, strict=True)
        if self.first_line is None:
            return ((None, text) for text in texts)
        return enumerate(texts, self.first_line)


@dataclass(frozen=True, slots=True)
class Message:
    """An arrow of a sequence diagram, from one actor to another or to itself."""

    source: str
    target: str
    text: str
    is_reply: bool = False


@dataclass(frozen=True, slots=True)
class SequenceDiagram:
    """A sequence diagram: the actors from left to right, the messages from top to bottom."""

    actors: Sequence[str]
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class Diagram:
    """A sequence diagram as a block."""

    sequence: SequenceDiagram


Block = Heading | Paragraph | Numbered | Bullets | Table | Listing | Diagram


@dataclass(frozen=True, slots=True)
class Document:
    """A title and what follows."""

    title: Text
    blocks: list[Block] = field(default_factory=list)


def spans_of(text: Text) -> Sequence[Span]:
    """The spans of a text."""
    return (text,) if isinstance(text, Span) else text


def plain(text: Text) -> str:
    """A text without links and fonts."""
    return "".join(_words(span) for span in spans_of(text))


def _words(span: Span) -> str:
    if isinstance(span, str):
        return span
    inner = span.text
    return inner if isinstance(inner, str) else inner.text
