"""The sequence diagram of a chain of steps: the calls between the client, the server and your code.

An actor is the client, the kernel, a module of Python, a package, a room of Carboy, or your code.
Consecutive calls from one actor to another are one message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from carboy.dev.explain import places
from carboy.dev.explain.chain import ChainStep, Phase
from carboy.dev.explain.recording import MODULE, Function, Recording
from carboy.dev.report.document import Message, SequenceDiagram

CLIENT, KERNEL, OWN = "client", "kernel", "your code"
LONGEST = 76  # characters of the names of calls in a message
MOST = 4  # messages with consecutive calls from one actor to another
SHORTEST = 48  # characters of a value, and of a line that is sent
READS = {"socket.recv", "socket.recv_into"}
SENDS = {"socket.send", "socket.sendall", "socket.sendmsg", "sendfile"}
MAKES = "socket.__init__"  # the constructor makes the socket in C
CALLS_OF_THE_KERNEL = {MAKES, "fork"}  # besides those of the room of the kernel
PACKAGES = {"email", "importlib", "asyncio", "concurrent", "wsgiref"}  # of Python, as one actor
STARTERS = {"threading"}  # modules that call functions which they were given


@dataclass(slots=True)
class _Arrow:
    """A message to which calls are added."""

    source: str
    target: str
    calls: list[str] = field(default_factory=list)

    def messages(self) -> list[Message]:
        """One message; more if it would be too long, and with a number instead of the middle."""
        texts: list[str] = []
        last = ""
        for call in self.calls:
            owner, dot, name = call.rpartition(".")
            short = f".{name}" if dot and owner == last else call
            if texts and len(texts[-1]) + len(short) <= LONGEST - 2:
                texts[-1] += f", {short}"
            else:
                texts.append(call)
            last = owner
        if len(texts) > MOST:
            count = sum(text.count("()") for text in texts[MOST - 2 : -1])
            texts[MOST - 2 : -1] = [f"… {count} more calls"]
        return [Message(self.source, self.target, text) for text in texts]


@dataclass(slots=True)
class _Return:
    """The result of a call, which belongs in front of the first step after the call."""

    step: ChainStep
    message: Message

    def is_due(self, next_step: ChainStep) -> bool:
        """Whether the call has ended when the next step begins."""
        call, process = next_step.call, next_step.process
        if process is not self.step.process or call.thread != self.step.call.thread:
            return False
        above = process.above(call)
        while above is not None and above is not self.step.call:
            above = process.above(above)
        return above is None


def sequence_of(recording: Recording, steps: Sequence[ChainStep], phase: Phase) -> SequenceDiagram:
    """The diagram of the steps of one phase."""
    maker = _Maker(recording)
    if phase is Phase.REQUEST:
        maker.connect()
    for step in steps:
        if step.phase is phase:
            maker.add(step)
    messages = maker.finish()
    found: dict[str, None] = {}
    for message in messages:
        found |= {message.source: None, message.target: None}
    # The client and the kernel come first, your code last, the others in order of appearance.
    order = {CLIENT: 0, KERNEL: 1, OWN: 3}
    return SequenceDiagram(sorted(found, key=lambda actor: order.get(actor, 2)), messages)


class _Maker:
    """Makes the messages, one step after the other."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._messages: list[Message | _Arrow] = []
        self._returns: list[_Return] = []
        self._was_read = False
        self._was_sent = False

    def connect(self) -> None:
        """Add the message with which a request begins."""
        self._messages.append(Message(CLIENT, KERNEL, "connect()"))

    def add(self, step: ChainStep) -> None:
        """Add the messages of a step."""
        while self._returns and self._returns[-1].is_due(step):
            self._messages.append(self._returns.pop().message)
        found = self._recording
        name = step.function.name
        if name in READS and not self._was_read:
            self._was_read = True
            text = _sent(found.sent, found.sent_size)
            self._messages.append(Message(CLIENT, KERNEL, text))
        self._call(step)
        if name in SENDS and not self._was_sent:
            self._was_sent = True
            text = _sent(found.received, found.received_size)
            self._messages.append(Message(KERNEL, CLIENT, text))

    def finish(self) -> list[Message]:
        """All messages."""
        self._messages += [each.message for each in reversed(self._returns)]
        found: list[Message] = []
        for each in self._messages:
            found += [each] if isinstance(each, Message) else each.messages()
        return found

    def _call(self, step: ChainStep) -> None:
        target = actor_of(step.function)
        source = actor_of(step.caller) if step.caller else target
        source = target if source in STARTERS else source
        name = _named(step, target)
        last = self._messages[-1] if self._messages else None
        if isinstance(last, _Arrow) and (last.source, last.target) == (source, target):
            if name not in last.calls:
                last.calls.append(name)
            return
        self._messages.append(_Arrow(source, target, [name]))
        result = step.call.result
        if target == OWN != source and result and step.function.name != MODULE:
            reply = Message(OWN, source, _cut(result), is_reply=True)
            self._returns.append(_Return(step, reply))


def actor_of(function: Function) -> str:
    """The actor that a function belongs to."""
    place = function.place
    if place.room == places.KERNEL or function.name in CALLS_OF_THE_KERNEL:
        return KERNEL
    if place.room in (places.APPLICATION, places.TEMPLATE):
        return OWN
    if place.package == "carboy":
        return "carboy" if place.room.startswith("__") else f"carboy.{place.room}"
    if place.package == places.PYTHON:
        top = function.module.partition(".")[0]
        return top if top in PACKAGES else function.module
    return place.package or places.C_CODE


def _named(step: ChainStep, target: str) -> str:
    function = step.function
    if function.name == MODULE:
        return f"import {function.module}"
    short = function.name.rpartition("<locals>.")[2]
    if target == KERNEL:
        short = "socket" if function.name == MAKES else short.rpartition(".")[2].lstrip("_")
    return f"{short}()" + (f" ×{step.times}" if step.times > 1 else "")


def _sent(text: str, size: int) -> str:
    """The first line of the bytes, and how many there are."""
    lines = text.splitlines()
    return f"{_cut(lines[0] if lines else '')}, {size or len(text):,} bytes"


def _cut(text: str) -> str:
    return text if len(text) <= SHORTEST else f"{text[: SHORTEST - 1]}…"
