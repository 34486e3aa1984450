"""The client of `carboy explain`, a separate process so that it does not slow down the server.

Run as a file; it needs only the standard library. Standard input has a JSON document with the
request. Standard output gets the status as soon as it is known and then the size of the body in
bytes, each on a line. An error goes to standard error.
"""

from __future__ import annotations

import http.client
import json
import sys
from typing import Any


def ask(port: int, method: str, path: str, fields: dict[str, str], body: str | None) -> int:
    """Send the request and print the status; the size of the body."""
    client = http.client.HTTPConnection("127.0.0.1", port)
    content = None if body is None else body.encode("latin-1")
    encoded = {name: value.encode("utf-8") for name, value in fields.items()}
    client.request(method, path, content, encoded)
    response = client.getresponse()
    print(f"{response.status} {response.reason}".strip(), flush=True)
    size = 0
    while part := response.read1(1 << 20):
        size += len(part)
    return size


def main(given: dict[str, Any]) -> None:
    """Send the request and print the result."""
    try:
        print(ask(**given))
    except (OSError, http.client.HTTPException) as problem:
        sys.exit(repr(problem))


if __name__ == "__main__":
    main(json.load(sys.stdin))
