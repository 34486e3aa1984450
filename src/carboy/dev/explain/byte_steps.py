"""The bytes of a connection as steps of the HTTP machine: each byte belongs to exactly one step.

The recorded calls are made again on a fresh machine, which is traced. The bytes of a request are
fed line by line, so that the machine reads the head with its careful reader, and each line is a
step. The outcome does not depend on the pieces in which the bytes come. When the machine refuses a
request, its last line is fed byte by byte, to find the byte at which it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from carboy.dev.explain.machine_trace import Line, Run, Taken, plain, run
from carboy.dev.explain.wire_recording import RESPONSES, MachineCall, forget_responses
from carboy.protocol.errors import LocalProtocolError, RemoteProtocolError
from carboy.protocol.events import RequestHead, Signal
from carboy.protocol.limits import Limits
from carboy.protocol.machine import Machine
from carboy.protocol.states import Reading, Writing

REQUEST, RESPONSE = "request", "response"
LINE, FIELD, END, BODY, REFUSED, UNREAD = "line", "field", "end", "body", "refused", "unread"
# By the function that took the bytes: kind and title of the step.
TITLES = {
    "Machine._next_head": (LINE, "Empty line before the request"),
    "Machine._next_counted": (BODY, "Body"),
    "ChunkReader._size": (LINE, "Size of a chunk"),
    "ChunkReader.next": (BODY, "Content of a chunk"),
    "ChunkReader._chunk_end": (LINE, "End of a chunk"),
    "ChunkReader._trailers": (LINE, "Trailer or end of the chunked body"),
    "ChunkReader._whole_chunks": (BODY, "Whole chunks"),
}
# By a function that ran for a line of a head.
OF_A_HEAD = {
    "HeadReader._start": (LINE, "Request line"),
    "HeadReader._finish": (END, "End of the head"),
    "HeadReader._field": (FIELD, "Header"),
}
ENDED = "End of the response"
LEFT_OUT = "Further bytes, whose steps are left out"
INCOMPLETE = "The response is not complete"
HANDED_OVER = "Bytes that the application reads itself"
CAREFUL = "HeadReader"
QUICK = ("quick_head", "similar_head")
MOST = 2000  # steps; those of the last bytes are one step then


@dataclass(frozen=True, slots=True)
class Part:
    """A value that some bytes of a step became; `first` and `last` are equal if it has no bytes."""

    name: str
    text: str
    first: int = 0
    last: int = 0


@dataclass(slots=True)
class Step:
    """Bytes from `first` up to `last` of one direction, and what the machine did with them."""

    direction: str
    kind: str
    title: str
    first: int
    last: int
    before: tuple[str, str]  # states: reading, writing
    after: tuple[str, str]
    stack: list[Line]  # the line that took or made the bytes, and its callers in the machine
    ran: list[Line]  # all lines of the machine that ran for it, in order
    parts: list[Part] = field(default_factory=list)
    error: str = ""


@dataclass(slots=True)
class Stepped:
    """A whole connection: both directions as bytes, and the steps in order."""

    request: bytes
    response: bytes
    steps: list[Step]
    heads: list[RequestHead]
    quick: str = ""  # the reader that takes the first head if it comes in one piece

    def bytes_of(self, step: Step) -> bytes:
        """The bytes of a step."""
        return (self.request if step.direction == REQUEST else self.response)[
            step.first : step.last
        ]


class _OneByOne(Exception):
    """The request is refused: repeat it, with single bytes from `offset` on."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


def of_request(data: bytes) -> Stepped:
    """The steps of reading `data`, without a response."""
    return replay([MachineCall("receive", (data,))])


def replay(
    calls: Iterable[MachineCall], wire: bytes = b"", limits: Limits | None = None
) -> Stepped:
    """The steps of recorded calls; `wire` is what the client received."""
    recorded = list(calls)
    settings = limits or Limits()
    try:
        found = _Replay(settings, wire, None).all(recorded)
    except _OneByOne as again:
        found = _Replay(settings, wire, again.offset).all(recorded)
    found.quick = _quick_reader(recorded, settings)
    return found


def _quick_reader(calls: list[MachineCall], limits: Limits) -> str:
    """The function that reads the first head when its bytes come as they came to the server."""
    first = next((call.args[0] for call in calls if call.method == "receive"), b"")
    done = run(Machine(limits).receive, first)
    names = [code.co_qualname for code, _ in done.lines()]
    careful = any(name.startswith(CAREFUL) for name in names)
    return "" if careful else next((name for name in names if name in QUICK), "")


class _Replay:
    def __init__(self, limits: Limits, wire: bytes, single_from: int | None) -> None:
        self.machine = Machine(limits)
        self.wire = wire
        self.single_from = single_from
        self.received = bytearray()
        self.fed = 0
        self.fed_before = 0  # the offset at which the last piece began
        self.at = 0  # bytes of the request in steps
        self.sent = bytearray()
        self.steps: list[Step] = []
        self.heads: list[RequestHead] = []
        self.body_left = 0
        self.refused = False
        self.handed_over = False

    def all(self, calls: list[MachineCall]) -> Stepped:
        for call in calls:
            if call.method == "receive":
                self.received += call.args[0]
                if not call.args[0]:
                    self.advance(None, None)
                    self.ask(self.machine.receive, b"")
            else:
                whole = call.method in ("error_response", "hand_over")
                self.advance(None if whole else call.consumed, None if whole else call.reading)
                self.respond(call)
        self.advance(None, None)
        self.leave_rest()
        if self.handed_over and (rest := self.wire[len(self.sent) :]):
            at, states = len(self.sent), self.states()
            self.sent += rest
            title = "Bytes that the application writes itself"
            self.steps.append(
                Step(RESPONSE, BODY, title, at, len(self.sent), states, states, [], [])
            )
        if self.machine.writing not in (Writing.NOTHING, Writing.WAITING, Writing.DONE):
            at, states = len(self.sent), self.states()
            self.steps.append(Step(RESPONSE, END, INCOMPLETE, at, at, states, states, [], []))
        return Stepped(bytes(self.received), bytes(self.sent), _limited(self.steps), self.heads)

    def states(self) -> tuple[str, str]:
        return self.machine.reading.name, self.machine.writing.name

    # --- the request

    def advance(self, target: int | None, reading: Reading | None) -> None:
        """Let the machine read until it has consumed `target` bytes and is in that state."""
        machine = self.machine
        while not self.refused:
            done = target is not None and self.fed - machine.buffered >= target
            if done and reading in (None, machine.reading):
                return
            event = self.ask(machine.next_event)
            if event is Signal.PAUSED or event is Signal.CLOSED:
                return
            if event is Signal.NEED_DATA:
                piece = self.piece(len(self.received) if target is None else target)
                if not piece:
                    return
                self.fed_before = self.fed
                self.fed += len(piece)
                self.ask(machine.receive, piece)

    def piece(self, end: int) -> bytes:
        """The next bytes to feed: counted content, else one line, else one byte."""
        at = self.fed
        if self.single_from is not None and at >= self.single_from:
            last = at + 1
        elif self.machine.reading is Reading.LENGTH:
            last = at + self.body_left
        else:
            last = self.received.find(b"\n", at, end) + 1 or end
        return bytes(self.received[at : min(last, end)])

    def call(self, method: Any, *args: Any) -> Run:
        """Call the machine, and trace it as long as the steps are not too many."""
        return (run if len(self.steps) <= MOST else plain)(method, *args)

    def leave_out(self, direction: str, count: int, before: tuple[str, str]) -> None:
        """Bytes beyond the last step that is shown; those of a direction are one step."""
        request = direction == REQUEST
        first = self.at if request else len(self.sent) - count
        last, after = first + count, self.states()
        if request:
            self.at = last
            if before[0] == Reading.LENGTH.name:
                self.body_left -= count
        previous = self.steps[-1]
        if previous.title == LEFT_OUT and previous.direction == direction:
            previous.last, previous.after = last, after
        else:
            self.steps.append(Step(direction, BODY, LEFT_OUT, first, last, before, after, [], []))

    def ask(self, method: Any, *args: Any) -> Any:
        """Call the machine; its steps are appended. Returns the event, or None if it refused."""
        before = self.states()
        done = self.call(method, *args)
        if isinstance(done.error, RemoteProtocolError):
            # A piece of several bytes can be refused before its last one.
            if self.single_from is None and self.fed - self.fed_before > 1:
                raise _OneByOne(self.fed_before)
            self.refuse(done, before)
            return None
        if done.error is not None:
            raise done.error
        if isinstance(done.result, RequestHead):
            self.heads.append(done.result)
            self.body_left = done.result.content_length or 0
        if not done.traced and (count := self.fed - self.machine.buffered - self.at):
            self.leave_out(REQUEST, count, before)
        for number, taken in enumerate(done.taken, 1):
            after = self.states() if number == len(done.taken) else before
            self.take(taken, before, after, done.result)
        if not done.taken and done.result in (Signal.END_OF_MESSAGE, Signal.CLOSED):
            self.without_bytes(done, before, args)
        return done.result

    def take(
        self, taken: Taken, before: tuple[str, str], after: tuple[str, str], result: Any
    ) -> None:
        first, last = self.at, self.at + taken.count
        self.at = last
        kind, title = _title(taken)
        if kind == BODY:
            self.body_left -= taken.count
            previous = self.steps[-1] if self.steps else None
            if previous and previous.title == title and previous.last == first:
                previous.last, previous.after = last, after
                return
        step = Step(REQUEST, kind, title, first, last, before, after, taken.stack, taken.ran)
        self.name(step, taken, result)
        self.steps.append(step)

    def name(self, step: Step, taken: Taken, result: Any) -> None:
        """Set the parts of a step, and a title that says more."""
        line = self.received[step.first : step.last]
        at = 0
        for name, value in taken.found.items():
            at = line.lower().find(value.lower(), at)  # the name of a header is lower-cased
            text = line[at : at + len(value)].decode("latin-1")
            step.parts.append(Part(name, text, step.first + at, step.first + at + len(value)))
            at += len(value)
        if step.kind == FIELD and step.parts:
            step.title = f"Header {step.parts[0].text}"
        if step.kind == END and isinstance(result, RequestHead):
            step.parts += _of_head(result)
        if step.title == TITLES["ChunkReader._size"][1] and line.strip(b"0\r\n") == b"":
            step.title = "Last chunk, of size 0"
        if step.title == TITLES["ChunkReader._trailers"][1]:
            step.title = "Trailer" if line != b"\r\n" else "End of the chunked body"

    def without_bytes(self, done: Run, before: tuple[str, str], args: Any) -> None:
        if done.result is Signal.CLOSED and (args != (b"",) or before == self.states()):
            return
        ended = done.result is Signal.CLOSED
        title = "The client ends its side" if ended else "End of the request"
        ran = done.ran
        self.steps.append(
            Step(REQUEST, END, title, self.at, self.at, before, self.states(), ran[-1:], ran)
        )

    def refuse(self, done: Run, before: tuple[str, str]) -> None:
        self.refused = True
        error = done.error
        text = f"{error.status}: {error.message}" if isinstance(error, RemoteProtocolError) else ""
        kept = [each for each in done.taken if each.stack[0][0].co_qualname != "Machine._fail"]
        for taken in kept:
            self.take(taken, before, before, None)
        after, raised = self.states(), done.raised_at()
        # The bytes that were looked at: a line that was taken, else those that were dropped.
        if kept and self.at == self.fed:
            step = self.steps[-1]
            step.after = after
        else:
            ran = done.ran
            step = Step(REQUEST, REFUSED, "", self.at, self.fed, before, after, raised, ran)
            self.steps.append(step)
            self.at = self.fed
        step.kind, step.stack, step.error = REFUSED, raised, text
        step.title = f"Refused with {text}"

    def give_up(self, error: RemoteProtocolError) -> None:
        """The server refuses the request for a reason that is not in its bytes: a limit of time."""
        self.leave_rest()
        self.refused = True
        text, at, states = f"{error.status}: {error.message}", self.at, self.states()
        step = Step(REQUEST, REFUSED, f"Refused with {text}", at, at, states, states, [], [])
        step.error = text
        self.steps.append(step)

    def leave_rest(self) -> None:
        """Make a step of the bytes that the machine has not read."""
        end = len(self.received)
        if self.at < end:
            waits = self.machine.reading is Reading.HEAD and not self.refused
            title = "Bytes that wait for more" if waits else "Bytes that are not read"
            title = HANDED_OVER if self.handed_over else title
            states = self.states()
            self.steps.append(Step(REQUEST, UNREAD, title, self.at, end, states, states, [], []))
            self.at = end

    # --- the response

    def respond(self, call: MachineCall) -> None:
        """Make a recorded call again; its bytes become steps."""
        if self.refused:
            self.leave_rest()
        elif call.method == "error_response":
            self.give_up(call.args[0])
        before = self.states()
        if call.method in RESPONSES:
            forget_responses()
        done = self.call(getattr(self.machine, call.method), *call.args)
        if call.method == "hand_over":
            self.handed_over = True
            return
        if isinstance(done.error, RemoteProtocolError):
            self.refuse(done, before)
        elif isinstance(done.error, LocalProtocolError):
            return
        elif done.error is not None:
            raise done.error
        data = done.result
        if isinstance(data, int):  # bytes of a file, which the server has sent
            count, at = data, len(self.sent)
            data = self.wire[at : at + count].ljust(count, b"\0")
        if not isinstance(data, bytes):
            return
        if not data and call.method == "end_response":
            at, after = len(self.sent), self.states()
            self.steps.append(
                Step(RESPONSE, END, ENDED, at, at, before, after, done.ran[-1:], done.ran)
            )
        if not data:
            return
        if not done.traced:
            self.sent += data
            self.leave_out(RESPONSE, len(data), before)
            return
        pieces = _pieces(call.method, data)
        for number, (kind, title, text) in enumerate(pieces, 1):
            first, last = len(self.sent), len(self.sent) + len(text)
            self.sent += text
            after = self.states() if number == len(pieces) else before
            # Every line contains an empty line, so the end of the line before it is added.
            line = _maker(text if text != b"\r\n" else b"\r\n\r\n", done)
            step = Step(RESPONSE, kind, title, first, last, before, after, [line], done.lines())
            step.parts = _of_response(kind, text, first)
            if kind == BODY and before[1] == Writing.CHUNKED.name:
                step.title, step.parts = "Chunk", _of_chunk(text, first)
            self.steps.append(step)


def _limited(steps: list[Step]) -> list[Step]:
    """The steps; if there are too many, the last ones are joined for each direction."""
    found = steps[:MOST]
    for step in steps[MOST:]:
        last = found[-1]
        if step.kind in (REFUSED, UNREAD):
            found.append(step)
        elif step.first == step.last:
            if step is steps[-1]:
                found.append(step)
        elif last.title == LEFT_OUT and last.direction == step.direction:
            last.last, last.after = step.last, step.after
        else:
            found.append(replace(step, kind=BODY, title=LEFT_OUT, parts=[], error=""))
    return found


def _title(taken: Taken) -> tuple[str, str]:
    name = taken.stack[0][0].co_qualname
    if name == "Machine._next_head":
        ran = {code.co_qualname for code, _ in taken.ran}
        for function, titled in OF_A_HEAD.items():
            if function in ran:
                return titled
    return TITLES.get(name, (BODY, name))


def _of_head(head: RequestHead) -> list[Part]:
    """The values that the request of the application is made of, once the head is complete."""
    framing = "chunked" if head.chunked else str(head.content_length)
    found = [
        ("method", head.method), ("path", head.path), ("query", head.query),
        ("version", head.version), ("host", head.host),
        ("length of the body", framing if head.has_body else "there is no body"),
        ("keep_alive", str(head.keep_alive)),
    ]  # fmt: skip
    return [Part(name, text) for name, text in found]


def _pieces(method: str, data: bytes) -> list[tuple[str, str, bytes]]:
    """Kind, title and bytes of each piece that one call has written."""
    if method in ("send_data", "account"):
        return [(BODY, "Body", data)]
    if method == "end_response":
        return [(END, "End of the body", data)]
    head, blank, body = data.partition(b"\r\n\r\n")
    first, *fields = head.split(b"\r\n")
    found = [(LINE, "Status line", first + b"\r\n")]
    for line in fields:
        name = line.partition(b":")[0].decode("latin-1")
        found.append((FIELD, f"Header {name}", line + b"\r\n"))
    found.append((END, "End of the head", blank[2:]))
    if body:
        found.append((BODY, "Body", body))
    return found


def _maker(text: bytes, done: Run) -> Line:
    """The line that returned the least bytes that contain `text`."""
    made = [each for each in done.made if text in each[0]]
    return min(made, key=lambda each: len(each[0]))[1] if made else done.lines()[-1]


def _of_response(kind: str, text: bytes, first: int) -> list[Part]:
    if kind not in (LINE, FIELD):
        return []
    names = ("version", "status") if kind == LINE else ("name", "value")
    left, between, right = text.rstrip(b"\r\n").partition(b" " if kind == LINE else b": ")
    second = first + len(left) + len(between)
    return [
        Part(names[0], left.decode("latin-1"), first, first + len(left)),
        Part(names[1], right.decode("latin-1"), second, second + len(right)),
    ]


def _of_chunk(text: bytes, first: int) -> list[Part]:
    size, _, rest = text.partition(b"\r\n")
    start, end = first + len(text) - len(rest), first + len(text) - 2
    return [
        Part("size", size.decode("latin-1"), first, first + len(size)),
        Part("content", rest[:-2].decode("latin-1"), start, end),
    ]
