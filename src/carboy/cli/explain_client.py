"""One request, sent by a process of its own: the answer is read without taking time from the
interpreter that is measured. Run as a file; it needs nothing but Python's library.

A JSON document on the input says what to send. The output has the status as soon as it is known,
then the number of octets of the content, each on its line; or the error.
"""

from __future__ import annotations

import http.client
import json
import sys
from typing import Any


def ask(port: int, method: str, path: str, fields: dict[str, str], body: str | None) -> int:
    """Send it; the number of octets of the answer."""
    client = http.client.HTTPConnection("127.0.0.1", port)
    content = None if body is None else body.encode("latin-1")
    octets = {name: value.encode("utf-8") for name, value in fields.items()}
    client.request(method, path, content, octets)
    answer = client.getresponse()
    print(f"{answer.status} {answer.reason}".strip(), flush=True)
    size = 0
    while part := answer.read1(1 << 20):
        size += len(part)
    return size


def main(given: dict[str, Any]) -> None:
    """Ask, and say what became of it."""
    try:
        print(ask(**given))
    except (OSError, http.client.HTTPException) as problem:
        sys.exit(repr(problem))


if __name__ == "__main__":
    main(json.load(sys.stdin))
