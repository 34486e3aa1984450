"""A sequence diagram as SVG: boxes with lines below them, and an arrow in each row.

Each message has a row of its own with its text above the arrow, so nothing can overlap. Colours are
attributes, which simple programs understand; the style sheet inside changes them for a dark page.
"""

from __future__ import annotations

from html import escape
from unicodedata import east_asian_width

from carboy.dev.report.characters import visible
from carboy.dev.report.document import Message, SequenceDiagram

CHARACTER = 6.3  # width of a character of the font, in pixels
ROW = 25  # height of a message
SELF_ROW = 36  # height of a message of an actor to itself
BOX = 28  # height of the box of an actor
SPACE = 14  # between two boxes
MARGIN = 12
LOOP = 26  # width of the arrow of a message of an actor to itself
NARROWEST = 64  # width of a box
LONGEST_NAME = 24  # characters
LONGEST_TEXT = 84
INK, LINE, PAPER, FILL = "#1f2328", "#9aa3ad", "#ffffff", "#eef1f5"
STYLE = """
.sequence-diagram text { font: 10.5px ui-monospace, "DejaVu Sans Mono", monospace }
@media screen {
  .sequence-diagram .paper { fill: var(--paper, #ffffff) }
}
@media screen and (prefers-color-scheme: dark) {
  .sequence-diagram .ink { fill: #e6edf3 }
  .sequence-diagram .arrow, .sequence-diagram .life { stroke: #7d8590 }
  .sequence-diagram .head { fill: #7d8590 }
  .sequence-diagram .paper { fill: var(--paper, #0d1117) }
  .sequence-diagram .box { fill: #21262d; stroke: #7d8590 }
}
""".strip()


def render(sequence: SequenceDiagram) -> str:
    """The SVG element, which can be part of an HTML page or a file."""
    drawing = _Drawing(sequence)
    body = "\n".join(drawing.parts())
    width, height = round(drawing.width), round(drawing.height)
    title = f"Sequence diagram: {', '.join(sequence.actors)}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="sequence-diagram" role="img"'
        f' width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f' font-family="monospace" font-size="10.5">\n'
        f"<title>{escape(visible(title))}</title>\n<style>\n{STYLE}\n</style>\n{body}\n</svg>\n"
    )


class _Drawing:
    """The places of everything, in pixels."""

    def __init__(self, sequence: SequenceDiagram) -> None:
        self._sequence = sequence
        self._centres: dict[str, float] = {}
        self._names = {actor: _cut(actor, LONGEST_NAME) for actor in sequence.actors}
        right = float(MARGIN)
        for actor, name in self._names.items():
            width = self._box(name)
            self._centres[actor] = right + width / 2
            right += width + SPACE
        self.width = right - SPACE + MARGIN
        widest = max((_width(each.text) for each in sequence.messages), default=0)
        self.width = max(self.width, widest + 2 * MARGIN)
        rows = (SELF_ROW if _is_loop(each) else ROW for each in sequence.messages)
        self._bottom = MARGIN + BOX + sum(rows) + 14
        self.height = self._bottom + BOX + MARGIN

    def parts(self) -> list[str]:
        """The elements, from the back to the front."""
        lines, boxes = [], []
        for actor, centre in self._centres.items():
            lines.append(
                f'<path class="life" d="M{centre:g} {MARGIN + BOX}V{self._bottom:g}"'
                f' stroke="{LINE}" stroke-dasharray="3 4" fill="none"/>'
            )
            for top in (MARGIN, self._bottom):
                boxes += self._actor(actor, centre, top)
        return [*lines, *boxes, *self._messages()]

    def _box(self, name: str) -> float:
        return max(NARROWEST, _width(name) + 18)

    def _actor(self, actor: str, centre: float, top: float) -> list[str]:
        name = self._names[actor]
        width = self._box(name)
        return [
            f'<rect class="box" x="{centre - width / 2:g}" y="{top:g}" width="{width:g}"'
            f' height="{BOX}" rx="4" fill="{FILL}" stroke="{LINE}"/>',
            f'<text class="ink" x="{centre:g}" y="{top + 18:g}" text-anchor="middle"'
            f' fill="{INK}">{escape(name)}</text>',
        ]

    def _messages(self) -> list[str]:
        parts: list[str] = []
        top = MARGIN + BOX + 8.0
        for message in self._sequence.messages:
            parts += self._text(message, top)
            if _is_loop(message):
                parts += self._loop(message, top + 18)
                top += SELF_ROW
            else:
                parts += self._arrow(message, top + 20)
                top += ROW
        return parts

    def _text_at(self, message: Message) -> float:
        """The left end of the text of a message."""
        source, target = self._centres[message.source], self._centres[message.target]
        width = _width(message.text)
        left = source + 6 if _is_loop(message) else (source + target - width) / 2
        return max(MARGIN, min(left, self.width - MARGIN - width))

    def _text(self, message: Message, top: float) -> list[str]:
        text = _cut(message.text, LONGEST_TEXT)
        left = self._text_at(message)
        return [
            f'<rect class="paper" x="{left - 2:g}" y="{top + 2:g}" width="{_width(text) + 4:g}"'
            f' height="14" fill="{PAPER}"/>',
            f'<text class="ink" x="{left:g}" y="{top + 13:g}" fill="{INK}">{escape(text)}</text>',
        ]

    def _arrow(self, message: Message, y: float) -> list[str]:
        source, target = self._centres[message.source], self._centres[message.target]
        before = target + (7 if target < source else -7)
        return [_line(f"M{source:g} {y:g}H{before:g}", message.is_reply), _head(target, before, y)]

    def _loop(self, message: Message, y: float) -> list[str]:
        centre = self._centres[message.source]
        path = f"M{centre:g} {y:g}h{LOOP}v14H{centre + 7:g}"
        return [_line(path, message.is_reply), _head(centre, centre + 7, y + 14)]


def _line(path: str, is_dashed: bool) -> str:
    dashes = ' stroke-dasharray="5 3"' if is_dashed else ""
    return f'<path class="arrow" d="{path}" fill="none" stroke="{INK}"{dashes}/>'


def _head(tip: float, back: float, y: float) -> str:
    path = f"M{tip:g} {y:g}L{back:g} {y - 4:g}V{y + 4:g}Z"
    return f'<path class="head" d="{path}" fill="{INK}"/>'


def _is_loop(message: Message) -> bool:
    return message.source == message.target


def _cut(text: str, most: int) -> str:
    flat = visible(" ".join(text.split()))
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"


def _width(text: str) -> float:
    """The width of a text; letters of some languages are twice as wide."""
    shown = _cut(text, LONGEST_TEXT)
    return CHARACTER * sum(2 if east_asian_width(each) in "WF" else 1 for each in shown)
