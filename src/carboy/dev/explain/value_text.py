"""The story of a value as text for a terminal: bytes, numbered steps, and the view."""

from __future__ import annotations

from carboy.dev.explain.terminal import COLOURS, OTHER, Painter
from carboy.dev.explain.value_path import ValuePath
from carboy.dev.explain.value_story import (
    MOST_PASSED,
    WIDTH,
    Ending,
    Quote,
    Row,
    Story,
    StoryStep,
    story_of,
)


def show(found: ValuePath, request: str, coloured: bool = False) -> str:
    """The whole text."""
    painter = Painter(coloured)
    story = story_of(found)
    lines = [painter.colour(f"Following {story.title} of {request}", "1"), ""]
    lines += _bytes(story, painter)
    for number, step in enumerate(story.steps, 1):
        lines += _step(number, step, painter)
    lines.append("")
    lines += [each for each in (story.cut, story.never) if each]
    for ending in story.endings:
        lines += _ending(ending, painter)
    return "\n".join(lines) + "\n"


def _bytes(story: Story, painter: Painter) -> list[str]:
    lines = []
    for sentence, quote in story.received:
        lines += [sentence, *_quoted(quote, painter)]
    lines += ["", story.place, ""]
    for row in story.rows:
        lines += _row(row, painter)
    if story.more_rows:
        lines.append(f"  … {story.more_rows:,} more rows")
    return [*lines, ""] if story.rows else lines


def _row(row: Row, painter: Painter) -> list[str]:
    width = WIDTH * 3
    return [
        f"  {row.offset:08x}  {row.codes:<{width}} {row.characters}",
        painter.colour(f"  {'':8}  {'':<{width}} {row.marks}", "2"),
    ]


def _step(number: int, step: StoryStep, painter: Painter) -> list[str]:
    where = step.where
    if step.passed_by:
        names = [f"{each.function} ({each.text})" for each in step.passed_by[:MOST_PASSED]]
        names += [f"{step.more} more"] if step.more else []
        return [
            f"{number:4}. passed on inside an argument, first in {step.path}, by",
            *(f"        {name}" for name in names),
        ]
    code = COLOURS.get(where.place.room, OTHER)
    name = painter.link(painter.colour(where.function, code), where.place.file)
    lines = [f"{number:4}. {name}  {where.place.lines}"]
    if step.caller is not None:
        by = f"called by {step.caller.function}, {step.caller.text}"
        lines.append(painter.colour(f"        {by}", "2"))
    for deed in step.deeds:
        lines += [*_quoted(deed.quote, painter), f"          {deed.said}"]
    return lines


def _quoted(quote: Quote | None, painter: Painter) -> list[str]:
    if quote is None:
        return []
    place = painter.colour(f"{quote.where.text}:", "2")
    return [f"      {place} {painter.colour(quote.source, '1')}"]


def _ending(ending: Ending, painter: Painter) -> list[str]:
    words = [ending.function, ending.verb, painter.colour(ending.expression, "1")]
    return [" ".join(words).rstrip(), *_quoted(ending.quote, painter)]
