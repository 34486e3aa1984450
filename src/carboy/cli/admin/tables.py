"""Figures and tables as the commands show them to people."""

from __future__ import annotations

from collections.abc import Sequence

RIGHT = ">"


def duration(seconds: float) -> str:
    """A time span: 0.4 s, 12 s, 3 min, 2 h 5 min, 4 d."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def number(count: int, noun: str) -> str:
    """A number of things: 1 thread, 2 threads."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def size(count: int | None) -> str:
    """A number of bytes: 512 B, 14 KiB, 1.5 GiB; "?" if it is not known."""
    if count is None:
        return "?"
    value, units = float(count), ("B", "KiB", "MiB", "GiB", "TiB")
    for unit in units:
        if value < 1024 or unit == units[-1]:
            break
        value /= 1024
    return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], right: str = "") -> list[str]:
    """The lines of a table. `right`: a character for each column, ">" aligns it to the right."""
    widths = [
        max(len(title), *(len(row[i]) for row in rows)) if rows else len(title)
        for i, title in enumerate(titles)
    ]
    sides = right.ljust(len(titles))
    lines = []
    for row in (titles, *rows):
        cells = [
            cell.rjust(width) if side == RIGHT else cell.ljust(width)
            for cell, width, side in zip(row, widths, sides, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
