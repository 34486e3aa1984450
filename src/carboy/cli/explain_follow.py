"""`carboy explain --follow`: what is passed to the server's process, and read from it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from carboy.cli.explain_question import Fields, Question
from carboy.dev.explain import value_path, value_recorder
from carboy.dev.explain.recording import Process
from carboy.dev.explain.secrets import Eraser, secrets_of
from carboy.dev.explain.value_path import ValuePath, path_of
from carboy.dev.explain.value_recorder import ValueRecorder
from carboy.dev.explain.values import SECRET_NAME
from carboy.dev.explain.wanted_value import Sent, UnknownValue, Wanted, wanted_value

SECRET_COOKIE = re.compile(f"(?i)session|{SECRET_NAME.pattern.removeprefix('(?i)')}")
HOST = "host"
ABOUT_BODY = {"content-length", "transfer-encoding"}  # headers that a server reads
FILE = "wanted"  # in the folder of the recording


class Following:
    """The values to follow, such as `header:User-Agent`, and their paths after the recording.

    Without a value, all headers are followed at once, and the one that the application reads is
    shown, so that the request is sent only once.
    """

    def __init__(self, what: Sequence[str], question: Question) -> None:
        if not value_recorder.is_available():
            raise click.UsageError(
                "--follow needs Python's fcntl module and select.poll, which this system does not"
                " have. Leave --follow out."
            )
        self._what = what
        self._question = question
        self._wanted: list[Wanted] = []
        self._files: list[dict[str, Any]] = []
        self._secrets: set[str] = set()
        self._sent = b""
        self._views: set[tuple[str, int]] = set()
        self._find(0)  # raises a usage error if the request does not have the value

    def prepare(self, folder: Path, port: int) -> None:
        """Write what the server's process needs."""
        self._wanted = self._find(port)
        data = [each.as_data() for each in self._wanted]
        (folder / FILE).write_text(json.dumps(data), "utf-8")

    def collect(self, folder: Path, processes: list[Process], sent: str) -> None:
        """Read what the server's processes wrote."""
        self._sent = self._whole(sent.encode("latin-1"))
        self._secrets = set().union(*(each.secrets for each in processes))
        for process in processes:
            roles = (each for each in process.functions if each.role.startswith("view "))
            self._views |= {(each.place.file, each.place.first) for each in roles}
        files = sorted(folder.glob("*.value"))
        self._files = [json.loads(file.read_text("utf-8")) for file in files]

    def _whole(self, sent: bytes) -> bytes:
        """All bytes that the client sent, of which it keeps only the first."""
        body = self._question.body
        if body is None:
            return sent
        head = sent[: sent.find(b"\r\n\r\n") + 4]
        if any(name.lower() == "transfer-encoding" for name, _ in self._question.fields):
            return head + b"%X\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        return head + body

    def paths(self) -> list[ValuePath]:
        """The path of each value that was asked for, without the secrets of the request."""
        found = [
            path_of(each, number, self._files, self._sent, self._views)
            for number, each in enumerate(self._wanted)
        ]
        if not self._what:
            # All headers are in the order of preference; without a reader, the last one is shown.
            found = [next((each for each in found if each.read is not None), found[-1])]
        for each in found:
            value_path.erase(each, Eraser(self._hidden(each.wanted)))
        return found

    def _find(self, port: int) -> list[Wanted]:
        question = self._question
        fields = question.sent_fields(port)
        sent = Sent(question.method, question.path, fields, question.body)
        if not self._what:
            return list(_headers(sent, question.given))
        try:
            return [wanted_value(each, sent) for each in dict.fromkeys(self._what)]
        except UnknownValue as problem:
            raise click.BadParameter(str(problem), param_hint="--follow") from None

    def _hidden(self, wanted: Wanted) -> set[str]:
        """The secrets of the request, without the cookie that is followed.

        A cookie is followed to be seen. It is hidden all the same if its name says that it is a
        secret.
        """
        question = self._question
        fields = question.fields
        if wanted.kind != "cookie" or SECRET_COOKIE.search(wanted.name):
            return self._secrets | secrets_of(question.path, fields, question.body)
        fields = [
            (name, _without(value, wanted) if name.lower() == "cookie" else value)
            for name, value in fields
        ]
        found = self._secrets | secrets_of(question.path, fields, question.body)
        return found - {*wanted.forms, *wanted.contexts}


def _without(cookies: str, wanted: Wanted) -> str:
    pairs = [pair.strip() for pair in cookies.split(";")]
    return ";".join(pair for pair in pairs if pair not in wanted.contexts)


def _headers(sent: Sent, given: Fields) -> Iterator[Wanted]:
    """The headers that may be followed: those that the user gave, the others, and Host."""
    names = [name.lower() for name, _ in (*given, *sent.fields)]
    for name in dict.fromkeys([*(each for each in names if each != HOST), HOST]):
        if name in ABOUT_BODY or SECRET_COOKIE.search(name):
            continue
        try:
            yield wanted_value(f"header:{name}", sent)
        except UnknownValue:  # it is empty
            pass


def recorder_of(folder: Path, port: int) -> ValueRecorder | None:
    """The recorder for the server's process, or None if no value is followed."""
    file = folder / FILE
    if not file.exists():
        return None
    wanted = [Wanted.from_data(each) for each in json.loads(file.read_text("utf-8"))]
    return ValueRecorder(wanted, port, folder)
