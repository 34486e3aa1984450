"""Data from clients are read in time that grows with their length, not with its square.

Each pattern of the rooms that clients reach, and each parser of a header field or a form, is given
long repetitions that nearly match. Processor time of the thread is compared for a text and for one
four times as long: sixteen times as much is quadratic.
"""

from __future__ import annotations

import importlib
import io
import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from carboy import http
from carboy.http.forms.parser import FormDataParser

ROOMS = ("gateway", "http", "protocol", "server")
OF_THE_OPERATOR = ("carboy.server.bind", "carboy.server.settings")  # read from its command line
SIZE = 2000
QUICK = 0.001  # seconds; quadratic code takes longer
TOO_MUCH = 9.0
ATOMS = [
    *(
        "a",
        "0",
        " ",
        "\t",
        ",",
        ";",
        "=",
        '"',
        "\\",
        "-",
        ".",
        "/",
        ":",
        "%",
        "(",
        "<",
        "&",
        "\r\n",
    ),
    *("\n", "'", "a=", "a,", "; ", " ;", '\\"', "--", "a-", "a=b;", 'a="b",', "0-,"),
]
STARTS = ["", 'a; b="']
ENDS = ["", "\x00"]

# These read only validated text: each line has a colon.
VALIDATED = {"carboy.protocol.events._field_lines", "carboy.protocol.events._raw_lines"}
BUILT_IN = (type(re.compile("").match), type(re.compile("").split))


def patterns() -> Iterator[tuple[str, re.Pattern[Any], str]]:
    """The place of a pattern, the pattern, and how it is used."""
    for room in ROOMS:
        package = importlib.import_module(f"carboy.{room}")
        for module in pkgutil.walk_packages(package.__path__, f"carboy.{room}."):
            if module.name in OF_THE_OPERATOR:
                continue
            for name, value in vars(importlib.import_module(module.name)).items():
                if f"{module.name}.{name}" in VALIDATED:
                    continue
                if type(value) in BUILT_IN and type(value.__self__) is re.Pattern:
                    yield f"{module.name}.{name}", value.__self__, value.__name__


def check(action: Callable[[Any], Any], atoms: list[str], starts: list[str]) -> None:
    for start in starts:
        for atom in atoms:
            for end in ENDS:
                short = start + atom * (SIZE // len(atom)) + end
                if seconds(action, short) > QUICK:
                    long = start + atom * (4 * SIZE // len(atom)) + end
                    assert is_linear(action, short, long), (start, atom, end)


def seconds(action: Callable[[Any], Any], text: Any) -> float:
    start = time.thread_time()
    with suppress(Exception):
        found = action(text)
        if hasattr(found, "__next__"):
            list(found)
    return time.thread_time() - start


def is_linear(action: Callable[[Any], Any], short: Any, long: Any) -> bool:
    for _ in range(5):  # noise can make either one slower
        before = min(seconds(action, short) for _ in range(3))
        after = min(seconds(action, long) for _ in range(3))
        if before < QUICK or after < TOO_MUCH * before:
            return True
    return False


FOUND = {f"{name} {use}": (pattern, use) for name, pattern, use in patterns()}


def test_patterns_are_found() -> None:
    assert len(FOUND) > 30


@pytest.mark.parametrize("name", FOUND)
def test_a_pattern_is_linear(name: str) -> None:
    pattern, use = FOUND[name]
    method = getattr(pattern, use)
    action = (lambda text: method("", text)) if use == "sub" else method
    if isinstance(pattern.pattern, bytes):
        text_action = action
        action = lambda text: text_action(text.encode("latin-1"))  # noqa: E731
    check(action, ATOMS, STARTS)


def accept(value: str) -> None:
    parsed = http.parse_accept_header(value, http.MIMEAccept)
    parsed.best_match(["text/html", "application/json;a=b"])


def language(value: str) -> None:
    http.parse_accept_header(value, http.LanguageAccept).best_match(["en", "de-AT"])


def etags(value: str) -> None:
    http.parse_etags(value).contains("a")


def form(value: str) -> None:
    stream = io.BytesIO(value.encode("latin-1", "replace"))
    FormDataParser().parse(stream, "application/x-www-form-urlencoded", None)


def multipart(value: str) -> None:
    stream = io.BytesIO(value.encode("latin-1", "replace"))
    FormDataParser().parse(stream, "multipart/form-data", None, {"boundary": "b"})


PARSERS: dict[str, Callable[[str], Any]] = {
    "accept": accept,
    "accept-language": language,
    "age": http.parse_age,
    "authorization": http.Authorization.from_header,
    "basic": lambda value: http.Authorization.from_header(f"Basic {value}"),
    "cache-control": http.parse_cache_control_header,
    "content-range": http.parse_content_range_header,
    "cookie": http.parse_cookie,
    "csp": http.parse_csp_header,
    "date": http.parse_date,
    "dict": http.parse_dict_header,
    "digest": lambda value: http.Authorization.from_header(f"Digest {value}"),
    "etags": etags,
    "form": form,
    "host": lambda value: http.host_is_trusted(value, [".a.test", "b.test"]),
    "if-range": http.parse_if_range_header,
    "list": http.parse_list_header,
    "multipart": multipart,
    "options": http.parse_options_header,
    "range": http.parse_range_header,
    "set": http.parse_set_header,
    "www-authenticate": http.WWWAuthenticate.from_header,
}
OF_FIELDS = [
    *ATOMS,
    "a;q=0.1,",
    "*/*,",
    '"a",',
    'W/"a",',
    "1-2,",
    ";a*=utf-8''%41",
    "en-",
    "a=b&",
    "&=",
]
OF_PARTS = [
    *(
        "--b\r\n",
        "\r\n--b",
        "\r\n--b ",
        "\r\n-",
        "\r\n--",
        "\r\n--b\r",
        "\r\n--b-",
        "A: b\r\n",
        "\r\n ",
    ),
    *("--b\r\n\r\n\r\n", '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'),
]


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_is_linear(name: str) -> None:
    action = PARSERS[name]
    check(action, OF_PARTS if name == "multipart" else OF_FIELDS, STARTS)


@pytest.mark.parametrize(
    "start",
    [
        "--b\r\n",
        "--b\r\nA: ",
        '--b\r\nContent-Disposition: form-data; name="',
        '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n',
        '--b\r\nContent-Disposition: form-data; name="a"; filename="f"\r\n\r\n',
    ],
)
def test_a_part_of_a_form_is_read_in_linear_time(start: str) -> None:
    check(multipart, OF_PARTS + ATOMS, [start])
