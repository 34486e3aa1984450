"""The results as an SVG chart: a panel for each work, a bar for each server."""

from __future__ import annotations

from html import escape
from pathlib import Path

from bench.report import COLUMNS, ordered
from bench.run import Outcome, Record
from bench.servers import SERVERS
from bench.work import Work

PANEL_WIDTH = 440
GAP = 40
MARGIN = 32
TITLE_HEIGHT = 84
PANEL_TITLE = 34
BAR = 14
ROW = 24
LABEL = 150
FIGURE = 74
RATE = "requests_per_second"
TITLE = "Requests or messages per second"

STYLE = """
svg { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
.ground { fill: #ffffff; }
.title { font-size: 20px; font-weight: 650; fill: #16202a; }
.note { fill: #5b6874; }
.panel { font-size: 13px; font-weight: 650; fill: #16202a; }
.rule { stroke: #dfe5ea; }
.label { fill: #3a4651; }
.figure { fill: #3a4651; font-variant-numeric: tabular-nums; }
.bar { fill: #b9c4ce; }
.track { fill: #f1f4f6; }
.ours .bar { fill: #0e8a6d; }
.ours .label, .ours .figure { fill: #0a6b55; font-weight: 650; }
@media (prefers-color-scheme: dark) {
  .ground { fill: #12181e; }
  .title, .panel { fill: #f0f4f7; }
  .note { fill: #94a3b0; }
  .rule { stroke: #2a343d; }
  .label, .figure { fill: #c3ced7; }
  .bar { fill: #55646f; }
  .track { fill: #1b242c; }
  .ours .bar { fill: #35c79f; }
  .ours .label, .ours .figure { fill: #5fdcb8; }
}
"""


def svg(record: Record) -> str:
    """The chart of requests per second, in two columns. Each panel has its own scale."""
    works = [work for work in record.works() if _drawable(work, record.outcomes[work.key])]
    columns: list[list[Work]] = [[], []]
    heights = [0, 0]
    for work in works:
        shorter = heights.index(min(heights))
        columns[shorter].append(work)
        heights[shorter] += _height(record.outcomes[work.key])
    width = 2 * MARGIN + 2 * PANEL_WIDTH + GAP
    height = TITLE_HEIGHT + max(heights) + MARGIN
    panels = []
    for index, column in enumerate(columns):
        top = TITLE_HEIGHT
        for work in column:
            left = MARGIN + index * (PANEL_WIDTH + GAP)
            panels.append(_panel(work, record.outcomes[work.key], left, top))
            top += _height(record.outcomes[work.key])
    return _document(width, height, panels)


def write_chart(record: Record, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(svg(record))


def _drawable(work: Work, outcome: Outcome) -> bool:
    """Whether the first figure of the work is a rate."""
    return COLUMNS[work.kind][0].figure == RATE and bool(outcome.figures)


def _height(outcome: Outcome) -> int:
    return PANEL_TITLE + ROW * len(outcome.figures) + 22


def _document(width: int, height: int, panels: list[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-labelledby="title note">'
    )
    return "\n".join(
        [
            head,
            f"<style>{STYLE}</style>",
            f'<rect class="ground" width="{width}" height="{height}" rx="12"/>',
            f'<text id="title" class="title" x="{MARGIN}" y="42">{TITLE}</text>',
            f'<text id="note" class="note" x="{MARGIN}" y="62">One core for the server, one for '
            "the load. Longer is better. Each panel has its own scale.</text>",
            *panels,
            "</svg>\n",
        ]
    )


def _panel(work: Work, outcome: Outcome, left: int, top: int) -> str:
    best = max(figures[RATE] for figures in outcome.figures.values())
    parts = [
        f'<g transform="translate({left} {top})">',
        f'<line class="rule" x1="0" x2="{PANEL_WIDTH}" y1="4.5" y2="4.5"/>',
        f'<text class="panel" x="0" y="24">({work.key}) {escape(work.title)}</text>',
    ]
    for row, name in enumerate(ordered(work, outcome)):
        rate = outcome.figures[name][RATE]
        parts.append(_bar(name, rate, best, PANEL_TITLE + row * ROW))
    return "\n".join([*parts, "</g>"])


def _bar(name: str, rate: float, best: float, top: int) -> str:
    room = PANEL_WIDTH - LABEL - FIGURE
    length = max(1.5, room * rate / best)
    server = SERVERS[name]
    middle = top + BAR - 3
    return (
        f'<g class="{"ours" if server.ours else "theirs"}">'
        f'<text class="label" x="0" y="{middle}">{escape(server.label)}</text>'
        f'<rect class="track" x="{LABEL}" y="{top}" width="{room}" height="{BAR}" rx="3"/>'
        f'<rect class="bar" x="{LABEL}" y="{top}" width="{length:.1f}" height="{BAR}" rx="3"/>'
        f'<text class="figure" x="{PANEL_WIDTH}" y="{middle}" text-anchor="end">{rate:,.0f}</text>'
        "</g>"
    )
