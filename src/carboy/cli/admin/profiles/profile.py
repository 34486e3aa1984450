"""The samples of all workers, added up as a tree of calls below the routes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, NamedTuple

ALL = "all requests"
WAITS = re.compile(r"\(waits for (.+)\)", re.DOTALL)


class Function(NamedTuple):
    """A function as a profile names it; a route and a service have no file."""

    name: str
    file: str
    line: int  # at which it begins

    def label(self) -> str:
        """The name with its file and line: `build (shop/reports.py:41)`."""
        if not self.file:
            return self.name
        return f"{self.name} ({'/'.join(PurePath(self.file).parts[-2:])}:{self.line})"


@dataclass(slots=True, eq=False)
class Node:
    """A function where it was called; `own` samples ended there, `total` there or in its calls."""

    function: Function
    own: int = 0
    total: int = 0
    children: dict[Function, Node] = field(default_factory=dict)

    def child(self, function: Function) -> Node:
        """The node of a call from here, made if there is none."""
        found = self.children.get(function)
        if found is None:
            found = self.children[function] = Node(function)
        return found

    def largest(self) -> list[Node]:
        """The calls from here, those with most samples first."""
        return sorted(self.children.values(), key=lambda each: (-each.total, each.function))


@dataclass(slots=True)
class Profile:
    """The samples of all workers; `root` has the routes as its children."""

    root: Node
    rate: float  # samples in a second
    seconds: float  # duration
    workers: list[int]
    samples: int = 0  # looks at the threads, of all workers
    missed: int = 0  # looks that came late, and for which the next one counts
    cut: int = 0  # samples for whose whole stack there was no room

    def time(self, count: int) -> float:
        """The seconds for which samples stand."""
        return count / self.rate

    def share(self, count: int) -> float:
        """The part of all samples, in percent."""
        return 100.0 * count / self.root.total if self.root.total else 0.0

    def routes(self) -> list[Node]:
        """The routes, those with most samples first."""
        return self.root.largest()

    def only(self, route: str) -> None:
        """Forget all other routes. Raises StopIteration if there are no samples of this one."""
        kept = next(each for each in self.root.children.values() if each.function.name == route)
        self.root.children = {kept.function: kept}
        self.root.total = kept.total


def read(workers: Iterable[dict[str, Any]]) -> Profile:
    """The profile that the answers of workers make together."""
    found = Profile(Node(Function(ALL, "", 0)), 1.0, 0.0, [])
    for worker in workers:
        found.rate = worker["rate"]
        found.seconds = max(found.seconds, worker["seconds"])
        found.workers.append(worker["pid"])
        found.samples += worker["samples"]
        found.missed += worker["missed"]
        found.cut += worker["cut"]
        _add(found.root, worker)
    for node in reversed(list(nodes(found.root))):
        node.total = node.own + sum(each.total for each in node.children.values())
    return found


def _add(root: Node, worker: dict[str, Any]) -> None:
    frames = [Function(*each) for each in worker["frames"]]
    made: list[Node] = []
    for parent, call, count in zip(
        worker["parents"], worker["calls"], worker["counts"], strict=True
    ):
        above = root if parent < 0 else made[parent]
        node = above.child(frames[call])
        node.own += count
        made.append(node)


def nodes(root: Node) -> Iterator[Node]:
    """All nodes, each before its children. Stacks may be deeper than Python's recursion limit."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.largest()[::-1]


def stacks(root: Node) -> Iterator[tuple[tuple[Function, ...], int]]:
    """The stacks with samples of their own, outermost call first, and how many."""
    waiting: list[tuple[tuple[Function, ...], Node]] = [((), each) for each in root.largest()]
    waiting.reverse()
    while waiting:
        above, node = waiting.pop()
        whole = (*above, node.function)
        if node.own:
            yield whole, node.own
        waiting += [(whole, each) for each in node.largest()[::-1]]


def functions(profile: Profile) -> tuple[Counter[Function], Counter[Function]]:
    """The own and the total samples of each function. A recursive call counts once for a stack."""
    own: Counter[Function] = Counter()
    total: Counter[Function] = Counter()
    for stack, count in stacks(profile.root):
        if stack[-1].file:
            own[stack[-1]] += count
        for function in set(stack):
            if function.file:
                total[function] += count
    return own, total


def services(profile: Profile) -> Counter[str]:
    """The samples in which requests waited for each service, as `carboy.waiting_for` names it."""
    found: Counter[str] = Counter()
    for stack, count in stacks(profile.root):
        for name in {each.name for each in stack[1:] if not each.file}:
            if service := WAITS.fullmatch(name):
                found[service[1]] += count
    return found


Format = Callable[[Profile], str]
