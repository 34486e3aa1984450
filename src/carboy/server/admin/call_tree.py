"""Sampled stacks, added up as a tree of calls: decisions only, no threads and no clock.

    root    the route of the requests, or a thread without one
    node    a function, called by the node above it, or a service that this one waits for; `counts`
            has the samples that ended there

The tree has at most MOST_NODES nodes, however long a profile takes. A stack for which there is no
room is counted at the deepest node that is there already.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import CodeType
from typing import Any

MOST_NODES = 50_000  # and as many functions; about 5 MB of JSON
DEEPEST = 400  # calls of a stack; of deeper ones, the calls in the middle are left out
LONGEST = 300  # characters of a name
LEFT_OUT = "…"
NO_PARENT = -1


class CallTree:
    """The samples of one profile. Only one thread uses it."""

    def __init__(self, most: int = MOST_NODES) -> None:
        self._most = most
        self._frames: list[tuple[str, str, int]] = []  # function, file, line
        # By identity, because the hash of a code object takes long. The values keep the objects,
        # so that no other one gets their identity.
        self._known: dict[int, tuple[int, CodeType]] = {}
        self._texts: dict[str, int] = {}  # indexes of the frames that are not functions
        self._nodes: dict[tuple[int, int], int] = {}
        self._parents: list[int] = []
        self._calls: list[int] = []  # index of the frame of each node
        self.counts: list[int] = []
        self.cut = 0  # samples for which there was no room

    def add(self, root: str, codes: Sequence[CodeType | str], count: int = 1) -> None:
        """Count a stack. `codes`: its functions and services, innermost first."""
        node = self._child(NO_PARENT, self._text(root))
        if node is None:  # more roots than nodes
            self.cut += count
            return
        for frame in self._indexes(codes):
            below = self._child(node, frame)
            if below is None:
                self.cut += count
                break
            node = below
        self.counts[node] += count

    def _indexes(self, codes: Sequence[CodeType | str]) -> list[int]:
        """The frames of a stack, outermost first."""
        known = self._known
        found = []
        for code in reversed(codes):
            if isinstance(code, str):
                found.append(self._text(code if len(self._texts) < self._most else LEFT_OUT))
                continue
            at = known.get(id(code))
            if at is None:
                if len(known) >= self._most:
                    found.append(self._text(LEFT_OUT))
                    continue
                at = known[id(code)] = len(self._frames), code
                self._frames.append(_shown(code))
            found.append(at[0])
        if len(found) > DEEPEST:
            half = DEEPEST // 2
            found[half:-half] = [self._text(LEFT_OUT)]
        return found

    def _text(self, text: str) -> int:
        at = self._texts.get(text)
        if at is None:
            at = self._texts[text] = len(self._frames)
            self._frames.append((text[:LONGEST], "", 0))
        return at

    def _child(self, parent: int, frame: int) -> int | None:
        """The node of a call; None if there is none and no room for it."""
        node = self._nodes.get((parent, frame))
        if node is None and len(self.counts) < self._most:
            node = self._nodes[parent, frame] = len(self.counts)
            self._parents.append(parent)
            self._calls.append(frame)
            self.counts.append(0)
        return node

    def answer(self) -> dict[str, Any]:
        """The tree for JSON; a parent is before its children."""
        return {
            "frames": self._frames,
            "parents": self._parents,
            "calls": self._calls,
            "counts": self.counts,
            "cut": self.cut,
        }


def _shown(code: CodeType) -> tuple[str, str, int]:
    return code.co_qualname[:LONGEST], code.co_filename[-LONGEST:], code.co_firstlineno
