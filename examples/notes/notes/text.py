"""Template filters. Filters that turn stored text into HTML escape it first."""

from __future__ import annotations

import datetime
import re

from markupsafe import Markup, escape

from carboy import Flask

LINK = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]]")
INLINE = re.compile(rf"(?P<link>{LINK.pattern})|`(?P<code>[^`\n]+)`|\*\*(?P<strong>[^*\n]+)\*\*")
BULLET = re.compile(r"[-*•] +")
EXCERPT_LENGTH = 320


def install(app: Flask) -> None:
    for filter_ in (prose, excerpt, highlight, day, moment):
        app.add_template_filter(filter_)


def prose(text: str) -> Markup:
    """HTML of a note: paragraphs, lists (- ), headings (# ), links, `code`, **strong**."""
    blocks = re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n").strip("\n"))
    return Markup("\n").join(_block(block) for block in blocks if block.strip())


def _block(block: str) -> Markup:
    lines = block.split("\n")
    if all(BULLET.match(line) for line in lines):
        items = (Markup("<li>{}</li>").format(_inline(BULLET.sub("", x, count=1))) for x in lines)
        return Markup("<ul>{}</ul>").format(Markup("").join(items))
    if lines[0].startswith("# "):
        heading = Markup("<h2>{}</h2>").format(_inline(lines[0][2:]))
        rest = "\n".join(lines[1:])
        return heading + (_block(rest) if rest.strip() else Markup(""))
    return Markup("<p>{}</p>").format(Markup("<br>").join(map(_inline, lines)))


def _inline(line: str) -> Markup:
    parts, end = [], 0
    for match in INLINE.finditer(line):
        parts += [escape(line[end : match.start()]), _marked(match)]
        end = match.end()
    return Markup("").join([*parts, escape(line[end:])])


def _marked(match: re.Match[str]) -> Markup:
    if match["link"]:
        template = Markup('<a href="{0}" rel="noopener noreferrer nofollow">{0}</a>')
        return template.format(match["link"])
    if match["code"]:
        return Markup("<code>{}</code>").format(match["code"])
    return Markup("<strong>{}</strong>").format(match["strong"])


def excerpt(text: str, query: str = "") -> str:
    """The beginning of `text`, or the part around the first occurrence of `query`."""
    flat = re.sub(r"\*\*|`|^# ", "", text, flags=re.MULTILINE).strip()
    flat = re.sub(r"^[-*•] +", "• ", re.sub(r"\n\s*\n", "\n", flat), flags=re.MULTILINE)
    found = flat.lower().find(query.lower()) if query else -1
    start = max(0, found - 80) if found > EXCERPT_LENGTH - 40 else 0
    piece = flat[start : start + EXCERPT_LENGTH]
    before = "…" if start else ""
    after = "…" if start + EXCERPT_LENGTH < len(flat) else ""
    return f"{before}{piece.strip()}{after}"


def highlight(text: str, query: str) -> Markup:
    """`text` with each occurrence of `query` marked."""
    if not query:
        return escape(text)
    pieces = re.split(f"({re.escape(query)})", text, flags=re.IGNORECASE)
    marked = (
        Markup("<mark>{}</mark>").format(piece) if index % 2 else escape(piece)
        for index, piece in enumerate(pieces)
    )
    return Markup("").join(marked)


def day(stored: str) -> str:
    """A date such as 12 November 2026, without the year if it is the current year."""
    date = datetime.datetime.fromisoformat(stored)
    this_year = datetime.datetime.now(datetime.UTC).year
    return f"{date.day} {date:%B}" + ("" if date.year == this_year else f" {date.year}")


def moment(stored: str) -> str:
    """A date and time such as 12 November 2026, 14:05 UTC."""
    date = datetime.datetime.fromisoformat(stored)
    return f"{date.day} {date:%B %Y, %H:%M} UTC"
