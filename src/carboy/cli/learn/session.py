"""The course in a terminal: one loop over what the learner types and what the servers report."""

from __future__ import annotations

import codecs
import os
import queue
import re
import threading
import time
import webbrowser
from collections import deque

import click

from carboy.cli.learn.client import Client
from carboy.cli.learn.lessons import Lessons
from carboy.dev.explain.step_text import StepText
from carboy.dev.learn.course import EXERCISES, number_of
from carboy.dev.learn.exercise import Verdict
from carboy.dev.learn.text import COMMANDS, Text
from carboy.dev.learn.typed import TypedError, lines_of, of_line

SETTLE = 0.15  # seconds without a change, after which the recording is checked
HOLD = 10.0  # seconds that a line waits for the response to the line before
STREAMED = 1.0  # seconds of a response without end, after which the next line is taken
LONGEST = 30.0  # seconds that the servers have to react after the end of the input
MOST_SHOWN = 20  # lines of a response
PROMPT = "> "
REQUEST = re.compile(r"[A-Z]{3,} |.* HTTP/")  # rather the begin of a request than an answer


class Session:
    """Reads lines, sends them, and says what was recorded."""

    def __init__(
        self, lessons: Lessons, text: Text, course: str, interactive: bool, in_terminal: bool
    ) -> None:
        self._lessons = lessons
        self._text = text
        self._course = course
        self._interactive = interactive
        self._in_terminal = in_terminal
        self._client: Client | None = None
        self._events: queue.SimpleQueue[tuple[str, str | bytes]] = queue.SimpleQueue()
        self._lines: deque[str] = deque()
        self._ended = 0.0  # monotonic seconds: since when there are no more lines
        self._look_at = 0.0  # monotonic seconds; 0.0: there is nothing to look at
        self._held = 0.0  # monotonic seconds: since when a line waits
        self._shown = 0  # lines of the response that are shown
        self._request = b""  # typed since the last response
        self._last = b""  # the last typed request
        self._drops = False  # lines are the rest of a request that was refused
        self._prompted = False
        self._reported = 0  # number of the last finding
        self._number = 0  # of the exercise that is shown
        self._steps: list[str] = []  # left to show one by one

    # --- reports, from any thread

    def changed(self) -> None:
        """The recording has changed."""
        self._events.put(("changed", ""))

    def received(self, data: bytes) -> None:
        """The client got bytes, or b"": its connection has ended."""
        self._events.put(("received", data))

    def read_lines(self) -> None:
        """Read the standard input on a thread."""
        threading.Thread(target=self._read, name="input", daemon=True).start()

    def _read(self) -> None:
        # Not sys.stdin: a thread that holds its lock at the end would end Python with an error.
        decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        rest = ""
        while True:
            try:
                data = os.read(0, 1 << 16)
            except OSError:
                data = b""
            rest += decoder.decode(data, final=not data)
            *lines, rest = rest.split("\n")
            for line in lines:
                self._events.put(("line", line.removesuffix("\r")))
            if not data:
                if rest:
                    self._events.put(("line", rest))
                self._events.put(("end", ""))
                return

    # --- the loop

    def run(self, client: Client, number: int) -> None:
        """Until the learner ends it."""
        self._client = client
        if number:
            self._say(f"In the browser: {self._course}\n")
            self._begin(number)
        else:
            self._list()
        self.read_lines()
        while self._step(client):
            pass

    def _step(self, client: Client) -> bool:
        """One event; returns whether the course goes on."""
        if self._lessons.number != self._number:
            self._show_exercise()  # begun on the page
        self._prompt()
        try:
            kind, value = self._events.get(timeout=self._patience())
        except queue.Empty:
            kind, value = "", ""
        if kind == "line":
            self._prompted = False
            self._lines.append(str(value))
        elif kind == "end":
            if self._interactive:
                self._say("")
                return False
            self._ended = time.monotonic()
        elif kind == "changed":
            self._look_at = time.monotonic() + SETTLE
        elif kind == "received" and isinstance(value, bytes):
            self._show_response(value)
        if self._look_at and time.monotonic() >= self._look_at:
            self._look_at = 0.0
            self._look()
        while self._lines and not self._must_wait(client):
            self._held = 0.0
            if not self._take(client, self._lines.popleft()):
                return False
        return not (self._ended and not self._lines and self._is_over(client))

    def _patience(self) -> float | None:
        if self._look_at:
            return max(0.0, self._look_at - time.monotonic())
        return 0.05 if self._lines or self._ended else None

    def _must_wait(self, client: Client) -> bool:
        """Whether the next line comes too early, which happens if lines come from a pipe."""
        now = time.monotonic()
        self._held = self._held or now
        if client.waits_for_server:
            return now - self._held < HOLD
        streams = client.is_open and not client.is_between_requests and not self._request_is_open()
        if streams and now - self._held < STREAMED:
            return True
        return bool(self._look_at) or not self._events.empty()

    def _request_is_open(self) -> bool:
        """Whether bytes of the current request may be missing."""
        recording = self._client.recording if self._client else None
        return recording is not None and recording.reads_request

    def _is_over(self, client: Client) -> bool:
        """After the last line of a pipe: whether nothing more is to be expected."""
        waited = time.monotonic() - self._ended
        recording = client.recording
        if waited > STREAMED and recording is not None and recording.is_streaming:
            self._hang_up(client)  # its client is the one that has ended
        if self._look_at or not self._events.empty() or waited < SETTLE:
            return False
        return waited > LONGEST or not (
            client.waits_for_server or client.waits_for_others or self._lessons.is_busy()
        )

    # --- input

    def _take(self, client: Client, line: str) -> bool:
        """Do what a line says; returns whether the course goes on."""
        if line == ".":
            self._hang_up(client)
            return True
        if self._drops and self._is_rest(line):
            return True
        self._drops = False
        if client.is_between_requests:
            self._request = b""
            if self._steps:
                self._next_step(line)
                return True
            word = line.strip()
            if word == "q":
                return False
            if self._command(client, word) or self._answer(line):
                return True
        self._send(client, line)
        return True

    def _is_rest(self, line: str) -> bool:
        """Whether a line belongs to a request that the server has refused before its end."""
        word = line.strip()
        if REQUEST.match(line) or word.isdecimal() or word in dict(COMMANDS):
            return False
        if word:
            self._say(self._text.note(f"Not sent, because the server has closed: {line[:60]}"))
        else:
            self._drops = False
        return True

    def _command(self, client: Client, word: str) -> bool:
        commands = {
            "": self._enter, "?": self._help, "h": self._example, "o": self._open_steps,
            "t": self._begin_steps, "b": self._open_course, "r": self._show_exercise,
            "l": self._list, "n": self._next,
        }  # fmt: skip
        if word in commands:
            commands[word]()
        elif word == "twice":
            self._twice(client)
        elif word.isdecimal() and (not self._lessons.number or not self._lessons.question()):
            try:
                self._begin(number_of(word))
            except ValueError as problem:
                self._say(str(problem))
        elif not self._lessons.number:
            self._say(f"Type a number from 1 to {len(EXERCISES)}, or Enter for the next exercise.")
        else:
            return False
        return True

    def _answer(self, line: str) -> bool:
        question = self._lessons.question()
        if question is None or REQUEST.match(line):
            return False
        verdict = self._lessons.answer(question[0], line)
        self._say(self._text.verdict(verdict.reached, verdict.text))
        self._ask(verdict)
        return True

    def _send(self, client: Client, line: str) -> None:
        try:
            data = of_line(line)
            if not client.is_open:
                self._request = b""
            if not self._request:
                self._shown = 0
            self._request += data
            self._last = self._request
            client.send(data)
        except TypedError as problem:
            self._say(str(problem))
        except OSError as problem:
            client.hang_up()
            self._request = b""
            self._say(f"The line was not sent, because the server has closed: {problem.strerror}.")

    def _hang_up(self, client: Client) -> None:
        self._request = b""
        if client.is_open:
            client.hang_up()
            self._say(self._text.note("You have closed the connection."))
        else:
            self._say(self._text.note("There is no open connection."))

    def _twice(self, client: Client) -> None:
        if not self._last:
            self._say(
                "Type a request first. This command then sends it on two connections at once."
            )
            return
        try:
            client.send_at_once(self._last, 2)
        except OSError as problem:
            self._say(f"The request was not sent: {problem.strerror}.")

    # --- commands

    def _enter(self) -> None:
        if not self._lessons.number or self._lessons.is_done():
            self._next()

    def _next(self) -> None:
        self._begin(self._lessons.next_number())

    def _help(self) -> None:
        self._say(self._text.commands())

    def _list(self) -> None:
        self._say(self._text.listing(self._lessons.progress))
        self._say(f"In the browser: {self._course}")
        self._say(f"Type a number from 1 to {len(EXERCISES)}, or Enter for the next. q ends.")

    def _begin(self, number: int) -> None:
        self._lessons.begin(number)
        self._show_exercise()

    def _show_exercise(self) -> None:
        number, exercise = self._lessons.number, self._lessons.exercise
        self._number = number
        if exercise is None:
            self._list()
            return
        self._say(self._text.exercise(number, exercise, self._lessons.progress.goals_of(exercise)))
        if self._lessons.is_done():
            self._say("This exercise is done. You can do it again, or press Enter for the next.")
        elif question := self._lessons.question():
            self._say(self._text.note("Send a request again, then answer the question:"))
            self._say(self._text.question(question[1]))

    def _example(self) -> None:
        example = self._lessons.example()
        if example is None:
            self._say("Begin an exercise first.")
            return
        text, then = example
        self._say("\n".join(f"    {line}" for line in text.removesuffix("\n").split("\n")))
        if then:
            self._say("    (wait)" if then == "wait" else f"    {then}")

    def _open_course(self) -> None:
        self._say(f"The page of the course: {self._course}")
        if not webbrowser.open(self._course):
            self._say("There is no browser here. Open the address in one.")

    def _open_steps(self) -> None:
        seen = self._lessons.newest()
        if seen is None:
            self._say("Nothing has been recorded yet.")
            return
        if self._in_terminal:
            self._begin_steps()
            return
        address = f"{self._course}steps/{seen.number}"
        self._say(f"Connection {seen.number} byte by byte: {address}")
        if not webbrowser.open(address):
            self._say("There is no browser here. Open the address in one, or type t.")

    def _begin_steps(self) -> None:
        seen = self._lessons.newest()
        if seen is None:
            self._say("Nothing has been recorded yet.")
            return
        text = StepText(f"Connection {seen.number}", seen.stepped, self._text.coloured)
        self._say(text.heading())
        self._steps = list(map(text.step, range(len(seen.stepped.steps))))
        if self._interactive:
            self._say(self._text.note("Enter: next step, a: all steps, q: back to the exercise"))
            self._next_step("")
        else:
            self._next_step("a")

    def _next_step(self, line: str) -> None:
        if line.strip() in ("q", "x"):
            self._steps = []
        elif line.strip() == "a":
            self._say("\n".join(self._steps))
            self._steps = []
        elif self._steps:
            self._say(self._steps.pop(0))

    # --- output

    def _look(self) -> None:
        self._lessons.look()
        for number, _, found in self._lessons.findings(self._reported):
            self._reported = number
            self._say(self._text.finding(found))
            if found.reached:
                self._ask(None)

    def _ask(self, verdict: Verdict | None) -> None:
        """The next question, or that the exercise is done."""
        if verdict is not None and not verdict.reached:
            return
        if question := self._lessons.question():
            self._say(self._text.question(question[1]))
        elif self._lessons.is_done() and self._lessons.exercise is not None:
            self._say(self._text.done(self._lessons.exercise, self._lessons.progress))

    def _show_response(self, data: bytes) -> None:
        if not data:
            # The rest of the request may have been pasted.
            self._drops = bool(self._request) and not self._request.endswith(b"\r\n\r\n")
            self._request = b""
            self._say(self._text.note("The server has closed the connection."))
            return
        lines = lines_of(data)
        room = max(0, MOST_SHOWN - self._shown)
        self._shown += len(lines)
        if room:
            self._say(self._text.received(lines[:room]))
            if len(lines) >= room:
                self._say(self._text.note("Further lines of the response are not shown."))

    def _say(self, text: str) -> None:
        if self._prompted and self._interactive:
            click.echo("\r\x1b[K", nl=False)
        self._prompted = False
        click.echo(text, color=self._text.coloured)

    def _prompt(self) -> None:
        if self._interactive and not self._prompted and not self._lines:
            click.echo(PROMPT, nl=False)
            self._prompted = True
