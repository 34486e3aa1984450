"""Rules: what happens to one setting of another server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from carboy.cli.switches import is_on

Convert = Callable[[Any], Any]
SKIP = object()  # a converter returns it for a value that is the default of Carboy


class Verdict(Enum):
    """How well Carboy does what a setting asks for."""

    EQUAL = "equal"
    SIMILAR = "similar"
    NONE = "no equivalent"
    UNNEEDED = "not needed"


class Takes(Enum):
    """How a setting is written on a command line."""

    VALUE = "a value"
    LIST = "a value, and may be repeated"
    FLAG = "no value"
    NOWHERE = "only in a file"


@dataclass(frozen=True, slots=True)
class Rule:
    """The option of `carboy run` that a setting becomes, by name, and what to know about it."""

    verdict: Verdict
    option: str = ""
    note: str = ""
    convert: Convert | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of another server: its rule, and its spellings on the command line."""

    rule: Rule
    takes: Takes = Takes.VALUE
    spellings: tuple[str, ...] = ()


Table = dict[str, Setting]


def same(option: str, convert: Convert | None = None, note: str = "") -> Rule:
    """An option with the same meaning."""
    return Rule(Verdict.EQUAL, option, note, convert)


def like(option: str, note: str, convert: Convert | None = None) -> Rule:
    """An option with another meaning, which the note explains."""
    return Rule(Verdict.SIMILAR, option, note, convert)


def none(note: str) -> Rule:
    """No option; the note says why, and what to do instead."""
    return Rule(Verdict.NONE, note=note)


def unneeded(note: str) -> Rule:
    """No option, because Carboy needs none."""
    return Rule(Verdict.UNNEEDED, note=note)


# --- converters


def number(value: Any) -> int:
    """A whole number. Raises ValueError."""
    return int(str(value).strip())


def positive(value: Any) -> Any:
    """A whole number; 0 is left out."""
    return number(value) or SKIP


def seconds(value: Any) -> Any:
    """Seconds, without a needless fraction."""
    found = float(str(value).strip())
    return int(found) if found.is_integer() else found


def truth(value: Any) -> bool:
    """Whether a setting is on, however it is written."""
    return is_on(value) if isinstance(value, str) else bool(value)


def turned_off(value: Any) -> bool:
    """The opposite."""
    return not truth(value)


def texts(value: Any) -> list[str]:
    """A list of texts; a single text may have commas."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, Iterable):
        return [str(part) for part in value]
    return [str(value)]


def octal(value: Any) -> str:
    """Permissions in octal digits, from a number or from text in any base."""
    if isinstance(value, str):
        text = value.strip().lower().removeprefix("0o")
        return f"{int(text, 8):o}"
    return f"{int(value):o}"


def bind_of(text: str, default_port: int = 8000) -> str:
    """One address as --bind takes it."""
    text = text.strip().removeprefix("tcp://")
    if text.startswith(("unix:", "fd://")) or "$" in text:
        return text
    if text.startswith("/"):
        return f"unix:{text}"
    if text.isdecimal():
        return f"0.0.0.0:{text}"
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        return f"{text}:{default_port}"
    return f"{host or '0.0.0.0'}:{port}"


def binds(value: Any) -> list[str]:
    """All addresses."""
    return [bind_of(each) for each in texts(value)]


def client_cert(value: Any) -> Any:
    """The value of --client-cert for the numbers and names of ssl.VerifyMode."""
    text = str(value).rpartition(".")[2].strip().upper()
    known = {"0": SKIP, "CERT_NONE": SKIP, "1": "optional", "CERT_OPTIONAL": "optional",
             "2": "required", "CERT_REQUIRED": "required"}  # fmt: skip
    if text not in known:
        raise ValueError(f"{value} is not a rule for certificates of clients.")
    return known[text]


def proxies(value: Any) -> list[str]:
    """The value of --trusted-proxies; an empty one trusts none."""
    return texts(value) or ["none"]
