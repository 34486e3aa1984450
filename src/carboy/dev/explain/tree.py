"""The calls of a request as a tree, and folded by room and package."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import accumulate
from types import CodeType

from carboy.dev.explain import awaits, generated, places
from carboy.dev.explain.places import Place
from carboy.dev.explain.recorder import Call, Recorder

Threaded = tuple[str, Iterable[Call]]  # a thread and its calls
SMALL = 0.03  # of the whole time; shorter calls of the standard library count for their caller


@dataclass(eq=False, slots=True)
class Node:
    """One call. Times are nanoseconds since accept() began, without waiting time."""

    name: str
    module: str
    place: Place
    began: int
    ended: int
    args: tuple[tuple[str, str], ...] = ()
    result: str = ""
    raised: bool = False
    line: int = 0
    error: BaseException | None = None
    code: CodeType | None = None
    children: list[Node] = field(default_factory=list)
    role: str = ""  # its role in the application: "view 'index'"
    step: int = 0  # number of the step that it is, or 0

    @property
    def time(self) -> int:
        """Nanoseconds, including the calls it made."""
        return self.ended - self.began

    @property
    def own(self) -> int:
        """Nanoseconds without the calls it made."""
        return max(0, self.time - sum(child.time for child in self.children))

    def walk(self) -> Iterator[Node]:
        """This call and all calls below it, in order."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(slots=True)
class Track:
    """The calls of one thread."""

    name: str
    roots: list[Node]

    def walk(self) -> Iterator[Node]:
        """All calls of the thread, in order."""
        for root in self.roots:
            yield from root.walk()

    def pairs(self) -> Iterator[tuple[Node, Node | None]]:
        """All calls of the thread, each with its caller, in order."""
        for root in self.roots:
            yield from _pairs(root, None)

    @property
    def time(self) -> int:
        """Nanoseconds of its calls."""
        return sum(root.time for root in self.roots)

    @property
    def waited(self) -> int:
        """Nanoseconds in which it waited."""
        return sum(node.own for node in self.walk() if node.place.room == places.WAITING)


def _pairs(node: Node, above: Node | None) -> Iterator[tuple[Node, Node | None]]:
    yield node, above
    for child in node.children:
        yield from _pairs(child, node)


def build(recorder: Recorder) -> list[Track]:
    """A track for each thread, that of the engine first, from accept() to the last send()."""
    tracks = [
        _track(each.name, each.roots) for each in list(recorder.threads.values()) if each.roots
    ]
    tracks.sort(key=lambda track: not any(map(_accepts, track.walk())))
    _without_waits(tracks)
    last = _last_send(tracks[1:])
    tracks[:1] = [_between(track, last) for track in tracks[:1]]
    if not tracks or not tracks[0].roots:
        return []
    zero = tracks[0].roots[0].began
    end = max(tracks[0].roots[-1].ended, last)
    kept = [tracks[0]]
    for track in tracks[1:]:
        track.roots = [node for node in _within(track.roots, zero, end) if not _idle(node)]
        for node in track.walk():
            node.ended = min(node.ended, end)  # a thread may go on after the response
        if any(map(awaits.is_outermost, track.walk())):
            awaits.with_awaits(track)
        if not _is_only_the_servers(track):
            kept.append(track)
    for track in kept:
        for node in track.walk():
            node.began -= zero
            node.ended -= zero
    return kept


def _within(nodes: Iterable[Node], zero: int, end: int) -> Iterator[Node]:
    """The calls that began in this time. A call that began earlier, such as a loop that waits,
    is replaced by its callees."""
    for node in nodes:
        if zero <= node.began <= end:
            yield node
        elif node.began < zero < node.ended:
            yield from _within(node.children, zero, end)


def of_branches(name: str, calls: Iterable[Call]) -> Track:
    """A track of calls, without the time between them."""
    return of_threads((name, calls))[0]


def of_threads(first: Threaded, *others: Threaded) -> list[Track]:
    """A track for each thread, without the time in which the first thread had no calls."""
    tracks = [_track(*each) for each in (first, *others)]
    _without_waits(tracks)
    begins: list[int] = []  # of the calls of the first thread, and how far they are moved
    shifts: list[int] = []
    now = 0
    for root in tracks[0].roots:
        begins.append(root.began)
        shifts.append(now - root.began)
        now += root.time
    for track in tracks:
        for root in track.roots:
            shift = shifts[max(0, bisect_right(begins, root.began) - 1)] if shifts else 0
            for node in root.walk():
                node.began = min(node.began + shift, now)
                node.ended = min(node.ended + shift, now)
    return [tracks[0], *(track for track in tracks[1:] if track.roots)]


def _is_only_the_servers(track: Track) -> bool:
    """Whether a thread ran nothing but code of the server, such as one that ends it."""
    if not all(map(_is_carboys, track.roots)):
        return False
    usual = {"carboy", places.PYTHON, places.KERNEL, places.C_CODE}
    return all(
        node.place.package in usual and not awaits.is_on_thread(node) for node in track.walk()
    )


def _accepts(node: Node) -> bool:
    return node.name == "socket.accept"


def _sends(node: Node) -> bool:
    return node.name in ("socket.send", "sendfile")


def _last_send(tracks: Iterable[Track]) -> int:
    """The end of the last call by which another thread than the engine's sends to the client."""
    sends = [
        node.ended
        for track in tracks
        for node, above in track.pairs()
        if _sends(node) and above is not None and _is_carboys(above)
    ]
    return max(sends, default=0)


def _track(name: str, calls: Iterable[Call]) -> Track:
    return Track(name, [_node(call) for call in calls])


def _without_waits(tracks: list[Track]) -> None:
    """Remove the time in which the first track waited for the client from all tracks."""
    waits = [
        part
        for node, above in (tracks[0].pairs() if tracks else ())
        if _waits_for_client(node, above)
        for part in _outside(node, awaits.period(tracks[1:]))
    ]
    begins, ends = [began for began, _ in waits], [ended for _, ended in waits]
    waited = [0, *accumulate(ended - began for began, ended in waits)]

    def moved(when: int) -> int:
        found = bisect_right(ends, when)
        begun = begins[found] if found < len(waits) else when
        return min(when, begun) - waited[found]

    for node in [node for track in tracks for node in track.walk()]:
        node.began, node.ended = moved(node.began), moved(node.ended)


def _outside(node: Node, period: tuple[int, int] | None) -> list[tuple[int, int]]:
    """The parts of a wait that are not in a period in which coroutines answer the request."""
    if period is None:
        return [(node.began, node.ended)]
    parts = (node.began, min(node.ended, period[0])), (max(node.began, period[1]), node.ended)
    return [(began, ended) for began, ended in parts if began < ended]


def _waits_for_client(node: Node, above: Node | None) -> bool:
    return node.name in places.POLLS and _is_carboys(above)


def _is_carboys(node: Node | None) -> bool:
    return node is None or node.place.package == "carboy"


def _node(call: Call, above: Node | None = None) -> Node:
    code = call.code
    ended = max(call.ended, call.began)
    line = call.line
    if isinstance(code, str):
        name, place, code_object = code, places.of_c(code, call.module), None
        if place.short == places.COMPILED:
            name = f"{call.module}.{name}"
        elif _is_wait(call, ended, above):
            place = replace(place, room=places.WAITING)
    else:
        name, place, code_object = code.co_qualname, places.of_code(code), code
        if origin := generated.origin_of(code):
            name, line = origin.name_of(name, dict(call.args)), origin.line_of(line)
    node = Node(
        name, call.module, place, call.began, ended,
        call.args, call.result, call.raised, line, call.error, code_object,
    )  # fmt: skip
    node.children = [_node(child, node) for child in call.children]
    return node


def _is_wait(call: Call, ended: int, above: Node | None) -> bool:
    """Whether a function in C waited, and not for the client of the request."""
    waits = places.waits(str(call.code), call.module) and ended - call.began >= places.LEAST_WAIT
    return waits and (above is None or not _is_carboys(above))


def _between(track: Track, last: int) -> Track:
    """From the turn that accepted to the turn that sent last, without waiting and the clock.

    `last` is the time at which another thread sent last, or 0.
    """
    turns: list[Node] = []
    for root in track.roots:
        turns += root.children if root.name == "Engine._turn" else [root]
    # The previous request may still have been running when the recording began.
    came = [n for n, turn in enumerate(turns) if any(map(_accepts, turn.walk()))]
    went = [n for n, turn in enumerate(turns) if turn.began < last or any(map(_sends, turn.walk()))]
    if not came:
        return Track(track.name, [])
    kept = turns[came[0] : went[-1] + 1 if went else len(turns)]
    return Track(track.name, [turn for turn in kept if not _idle(turn)])


def _idle(turn: Node) -> bool:
    return turn.name.endswith((".wait", "._tick", ".patience")) or turn.code is None


# --- folded


@dataclass(eq=False, slots=True)
class Line:
    """Consecutive calls of one room or package, with their calls of other rooms below."""

    node: Node  # the first call
    time: int = 0
    own: int = 0  # of the calls of this room or package only
    calls: int = 0
    times: int = 1  # how often the same call is repeated
    children: list[Line] = field(default_factory=list)

    def walk(self) -> Iterator[Line]:
        """This line and all lines below it."""
        yield self
        for child in self.children:
            yield from child.walk()


def fold(roots: Iterable[Node], whole: int) -> list[Line]:
    """The folded lines: a call has its own line if it enters another room or is a step."""
    lines: list[Line] = []
    for root in roots:
        _fold(root, None, lines, whole)
    return _together(lines)


def unfolded(roots: Iterable[Node]) -> list[Line]:
    """One line for each call."""
    return [Line(root, root.time, root.own, 1, children=unfolded(root.children)) for root in roots]


def _fold(node: Node, above: Line | None, into: list[Line], whole: int) -> None:
    if above is not None and not _has_own_line(node, above.node, whole):
        line, target = above, into
    else:
        line = Line(node, node.time)
        into.append(line)
        target = line.children
    line.own += node.own
    line.calls += 1
    for child in node.children:
        _fold(child, line, target, whole)


def _has_own_line(node: Node, above: Node, whole: int) -> bool:
    room = node.place.room
    if node.step or node.role or room in (places.KERNEL, places.WAITING):
        return True
    if room == places.C_CODE:
        return node.time >= max(SMALL * whole, places.LEAST_WAIT) and not node.children
    if room == places.PYTHON and node.time < SMALL * whole:
        return _leads_elsewhere(node, above)
    return room != above.place.room or room == places.APPLICATION


def _leads_elsewhere(node: Node, above: Node) -> bool:
    rooms = {each.place.room for each in node.walk()}
    return bool(rooms - {places.PYTHON, places.C_CODE, above.place.room})


def _together(lines: list[Line]) -> list[Line]:
    """Repetitions of the same call become one line."""
    kept: list[Line] = []
    for line in lines:
        before = kept[-1] if kept else None
        if before is not None and _same(before, line):
            before.time += line.time
            before.own += line.own
            before.calls += line.calls
            before.times += 1
            before.children += line.children
        else:
            kept.append(line)
    for line in kept:
        line.children = _together(line.children)
    return kept


def _same(one: Line, other: Line) -> bool:
    a, b = one.node, other.node
    return a.code is b.code and a.name == b.name and a.step == b.step


def only(lines: list[Line], wanted: Callable[[Node], bool]) -> list[Line]:
    """The lines whose calls are wanted, each with the wanted lines below it."""
    found: list[Line] = []
    for line in lines:
        if wanted(line.node):
            found.append(line)
            line.children = only(line.children, wanted)
        else:
            found += only(line.children, wanted)
    return found
