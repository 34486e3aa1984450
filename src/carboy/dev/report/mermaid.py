"""A sequence diagram in the language of Mermaid."""

from __future__ import annotations

import re

from carboy.dev.report.characters import visible
from carboy.dev.report.document import SequenceDiagram

LONGEST = 80  # characters of a message


def render(sequence: SequenceDiagram) -> str:
    """The text of the diagram."""
    names = {actor: f"a{number}" for number, actor in enumerate(sequence.actors, 1)}
    lines = ["sequenceDiagram"]
    lines += [f"    participant {name} as {_text(actor)}" for actor, name in names.items()]
    for message in sequence.messages:
        arrow = "-->>" if message.is_reply else "->>"
        source, target = names[message.source], names[message.target]
        lines.append(f"    {source}{arrow}{target}: {_text(message.text)}")
    return "\n".join(lines)


def _text(text: str) -> str:
    """A text in which every character that has a meaning is an entity."""
    flat = visible(" ".join(text.split())) or " "
    cut = flat if len(flat) <= LONGEST else f"{flat[: LONGEST - 1]}…"
    return re.sub(r"[#;&<>{}%\"`:$]", lambda found: f"#{ord(found[0])};", cut)
