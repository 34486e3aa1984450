"""Feeds compiled functions and their Python twins the same random input, and compares.

    python tools/fuzz_speedups.py 900          for 900 seconds
    python tools/fuzz_speedups.py 900 --leaks  without the twins, and watches the memory

`make fuzz` runs it with a build under AddressSanitizer, which ends the process at a read or write
beyond an object. The seed is printed, and `--seed N` repeats a run.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

from carboy._speedups import environ as compiled_environ
from carboy._speedups import form as compiled_form
from carboy._speedups import head as compiled_head
from carboy._speedups import json_reader, json_writer
from carboy._speedups import response as compiled_response
from carboy.gateway import wsgi
from carboy.http.forms import urlencoded
from carboy.protocol import Limits, LocalProtocolError, RemoteProtocolError, RequestHead, response
from carboy.protocol import head as python_head
from carboy.protocol.changed_head import changed_head
from carboy.protocol.events import ForwardedHead

LIMITS = Limits(fields_count=12)
BROWSER = (
    b"GET /path/%20a?x=1&y=%C3%A4 HTTP/1.1\r\nHost: localhost:8000\r\nConnection: keep-alive\r\n"
    b"Upgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
    b"Accept: text/html;q=0.9,*/*;q=0.8\r\nX-Forwarded-For: 1.2.3.4\r\nReferer: http://a/\r\n"
    b"Cookie: a=b; c=d\r\ncookie: e=f\r\n\r\n"
)
HEADS = (
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /a HTTP/1.0\r\nhost: x:80\r\nContent-Length: 12\r\nContent-Type: a/b\r\n\r\n",
    b"OPTIONS /* HTTP/1.1\r\nHOST:\tx\r\nConnection: close\r\nA:\r\nA: \xff \t\r\n\r\n",
    b"DELETE /?a HTTP/1.1\r\nHost: a.b-c:65499\r\nTE: trailers\r\nX_Y: z\r\n\r\n",
    BROWSER,
)
PIECES = (
    b"\r\n", b"\r", b"\n", b"\0", b":", b" ", b"\t", b"Host: y\r\n", b"Content-Length: 1\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n", b"_",
    b"Content-Type: c/d\r\n", b"forwarded", b"Connection: keep-alive\r\n", b"?", b"#", b"%", b"/",
    b"HTTP/1.1", b"\x7f", b"\x80", b"-", b"W", b"w" * 40, b"0" * 20, b"A: b\r\n" * 12, b"a" * 70,
)  # fmt: skip
FORM_PIECES = (
    b"a", b"bc" * 9, b"=", b"=", b"&", b"&", b"+", b"%41", b"%4a", b"%7F", b"%80", b"%C3%BC", b"%",
    b"%4", b"%4g", b"%g4", b"%00", b"%26", b"%25", b"\xc3\xbc", b"\xff", b"\0", b"\x7f",
)  # fmt: skip


def changed(choose: random.Random) -> bytes:
    """A head with a few random changes, which are often none."""
    data = bytearray(choose.choice(HEADS))
    for _ in range(choose.choice((0, 1, 1, 1, 2, 3, 6))):
        place = choose.randrange(len(data) + 1)
        what = choose.randrange(6)
        if what == 0:
            data[place : place + 1] = bytes((choose.randrange(256),))
        elif what == 1:
            del data[place : place + choose.choice((1, 1, 2, 9))]
        elif what == 2:
            data[place:place] = choose.choice(PIECES)
        elif what == 3:
            other = choose.choice(HEADS)
            data[place:] = other[choose.randrange(len(other)) :]
        elif what == 4:
            del data[place:]
        else:
            data[place : place + 1] = data[place : place + 1].swapcase()
    return bytes(data)


def carefully(data: bytes) -> RequestHead | None:
    """The head by the line reader; None if it is refused or does not end with the data."""
    reader = python_head.HeadReader(LIMITS)
    lines = data.split(b"\n")
    try:
        for number, line in enumerate(lines[:-1]):
            head = reader.add(line + b"\n")
            if head is not None:
                return head if number == len(lines) - 2 and not lines[-1] else None
    except RemoteProtocolError:
        pass
    return None


def facts(head: RequestHead) -> tuple[Any, ...]:
    """All that two equal heads share."""
    return (
        head.method, head.target, head.path, head.query, head.minor, head.host, head.fields(),
        head.content_length, head.chunked, head.keep_alive, head.expect_continue, head.upgrade,
        head.block,
    )  # fmt: skip


def check_head(data: bytes) -> RequestHead | None:
    """Compare the readers of a whole head; returns the head of the compiled one."""
    head: RequestHead | None = compiled_head.quick_head(data, LIMITS)
    other = python_head.quick_head(data, LIMITS)
    if head is None:
        assert other is None or b"0" * 10 in data, data
        return None
    if other is not None:
        assert head.__class__ is other.__class__, data
        assert head.tail == other.tail, data
    other = other or carefully(data)
    assert other is not None, data
    assert facts(head) == facts(other), data
    return head


def check_similar(choose: random.Random, last: RequestHead) -> None:
    """Compare the readers of the start before a known tail."""
    data = changed(choose)[: choose.randrange(30)] + last.tail
    head, other = (m.similar_head(data, last) for m in (compiled_head, python_head))
    assert (head is None) == (other is None), data
    if head is not None and other is not None:
        assert facts(head) == facts(other), data


def check_changed(data: bytes, head: RequestHead, last: RequestHead) -> None:
    """Compare the head with what the reader of changed lines in Python makes of it."""
    other = changed_head(data, last)
    if other is not None:
        assert facts(head) == facts(other), data


EXTRA = b"Server: carboy\r\nDate: Sun, 22 Nov 2026 16:30:11 GMT\r\n"
WORDS = (
    "Content-Type", "X-A", "content-length", "Content-Length", "Date", "SERVER", "Connection", "",
    "Keep-Alive", "Transfer-Encoding", "Strict-Transport-Security", "A B", "\u00e9", "A\u0100",
    "5", "05", "close", "a\rb", "a\r\nB: c", "\x00", "\x7f", "\xff", "x" * 300, "9" * 20,
)  # fmt: skip


def check_response(choose: random.Random) -> None:
    """Compare the whole responses for random fields."""
    count = choose.choice((0, 1, 2, 5, 64, 65))
    fields = [(choose.choice(WORDS), choose.choice(WORDS)) for _ in range(count)]
    if choose.random() < 0.5:  # most words are refused, so that few responses would be valid
        fields = [("X-A", choose.choice(("", "b", "\xff", "x" * 300))) for _ in fields]
    body = choose.choice((b"", b"hello", b"x" * 5000))
    mine = compiled_response.ordinary_response("200 OK", fields, body, EXTRA, len(body))
    try:
        other = response.ordinary_response("200 OK", fields, body, EXTRA, len(body))
    except LocalProtocolError:
        other = None
    assert mine == other or (mine is None and count > 64), fields


def check_environ(data: bytes, head: RequestHead | None, underscores: bool) -> None:
    """Compare the variables: of a valid head, and of bytes that no reader lets through."""
    if head is None:
        wild = RequestHead("GET", "/", "/", "", 1, "x", data)
        assert compiled_environ.add_fields({}, wild, underscores)
        return
    found: list[dict[str, Any]] = []
    for module in (compiled_environ, wsgi):
        head.forget_fields()
        environ: dict[str, Any] = {}
        assert module.add_fields(environ, head, underscores)
        found.append(environ)
    assert list(found[0].items()) == list(found[1].items()), data


def check_form(choose: random.Random) -> None:
    """Compare the pairs of a form of random pieces."""
    data = b"".join(choose.choices(FORM_PIECES, k=choose.randrange(12)))
    pairs = compiled_form.ordinary_pairs(data)
    assert pairs is None or pairs == urlencoded._pairs(data.decode()), data


JSON_PIECES = (
    "{", "}", "[", "]", ":", ",", '"', '"a":', '"key",', " ", "\n", "null", "true", "false", "nul",
    "NaN", "-", "0", "01", "-0.0", "12", ".5", "e", "E+3", "e-400", "\\", "\\n", "\\u00e9",
    "é", "\0",
    "\\ud83d\\ude00", "\\ud800", "\\u12", "\x7f", "9" * 17, "9" * 30, "0.1", "1e22", "x" * 50,
)  # fmt: skip
JSON_TEXT = (
    '{"id": 17, "b": [24.5, -1e3, null, true], "a": {"id": "\\u00fc\\n", "é": []}, "c": "x y"}'
)


def check_json(choose: random.Random) -> None:
    """Compare the values of JSON of random pieces, and of a text that is cut and changed."""
    text = "".join(choose.choices(JSON_PIECES, k=choose.randrange(9)))
    if choose.random() < 0.7:
        place = choose.randrange(len(JSON_TEXT))
        text = JSON_TEXT[:place] + text + JSON_TEXT[place + choose.randrange(9) :]
    data = text.encode()
    found = json_reader.container(data)
    if found is None:
        return
    assert repr(found) == repr(json.loads(data)), data
    for ascii_only in (True, False):
        written = json_writer.compact(found, ascii_only, True)
        assert written is None or written == json.dumps(
            found, ensure_ascii=ascii_only, sort_keys=True, separators=(",", ":")
        ), data


def compare(choose: random.Random, end: float) -> int:
    """Compare until `end`; returns how many heads there were."""
    count = valid = 0
    last: RequestHead | None = None
    response.encode_status("200 OK")  # statuses that were sent before are known
    told = time.monotonic()
    while time.monotonic() < end:
        for _ in range(500):
            data = changed(choose)
            head = check_head(data)
            if head is not None:
                valid += 1
                check_similar(choose, head)
                if last is not None:
                    check_changed(data, head, last)
                last = head
            check_response(choose)
            check_environ(data, head, choose.random() < 0.5)
            check_form(choose)
            check_json(choose)
            count += 1
        if time.monotonic() - told > 60:
            told = time.monotonic()
            print(f"{count:,} heads, {valid:,} of them valid", flush=True)
    print(f"{count:,} heads, {valid:,} of them valid: no difference")
    return count


def resident() -> int:
    """KiB of memory in use; the most so far, where there is no /proc."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def watch(choose: random.Random, end: float) -> None:
    """Call the compiled functions on the same heads, valid and refused, and watch the memory."""
    heads = [changed(choose) for _ in range(2000)]
    refused = sum(compiled_head.quick_head(data, LIMITS) is None for data in heads)
    last = compiled_head.quick_head(HEADS[0], LIMITS)
    assert last is not None
    calls, rounds, first = 0, 0, 0
    tracemalloc.start()
    before = after = tracemalloc.get_traced_memory()[0]
    while time.monotonic() < end:
        if rounds == 5:
            tracemalloc.stop()  # it slows each allocation down; the rest is watched from outside
            first = resident()
        for data in heads:
            head = compiled_head.quick_head(data, LIMITS)
            if head is not None:
                compiled_environ.add_fields({}, head, False)
            compiled_head.similar_head(data[:20] + last.tail, last)
            compiled_form.ordinary_pairs(data)
            text = data.replace(b"\r\n", b"\\n")
            json_writer.compact(json_reader.container(b'{"a": [1.5, "%b"]}' % text), True, True)
        calls += len(heads)
        rounds += 1
        if rounds < 5:
            after = tracemalloc.get_traced_memory()[0]
    grown = resident() - first
    print(
        f"{calls:,} heads, {calls * refused // len(heads):,} of them refused:"
        f" {after - before:,} bytes more after {5 * len(heads):,} heads (tracemalloc),"
        f" {grown:,} KiB more resident memory after the rest"
    )
    if after - before > 20_000 or grown > 2_000:
        sys.exit("Memory has grown.")


def main() -> None:
    """Run until the time is over, or until there is a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--leaks", action="store_true")
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    seed = random.randrange(2**32) if given.seed is None else given.seed
    print(f"seed {seed}, Python {sys.version.split()[0]}", flush=True)
    compiled_head.prepare(RequestHead, ForwardedHead)
    end = time.monotonic() + given.seconds
    (watch if given.leaks else compare)(random.Random(seed), end)


if __name__ == "__main__":
    main()
