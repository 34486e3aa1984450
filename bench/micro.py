"""`python -m bench.micro`: routing and values of Carboy and of Werkzeug, in one process.

Each row does the same work with both, alternating in small slices, and takes the quickest slice of
each, because disturbances only make a slice slower. Both have to give the same result. `--write`
writes the table into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import werkzeug.datastructures
import werkzeug.formparser
import werkzeug.http
import werkzeug.routing

import carboy
import carboy.http
import carboy.http.forms
import carboy.routing
from bench import rivals

DOCUMENT = rivals.ROOT / "docs" / "benchmarks.md"
BEGIN = "<!-- micro: begin (written by python -m bench.micro --write; do not edit) -->"
END = "<!-- micro: end -->"
SLICES = 60
SLICE_SECONDS = 0.01
MANY, FEW = 5_000, 50


@dataclass(frozen=True)
class Row:
    """The same work for both; `promised` is how many times as fast Carboy has to be."""

    title: str
    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    promised: float | None
    rival: str = "Werkzeug"
    same: bool = True  # both give equal values


@dataclass(frozen=True)
class Timed:
    """Microseconds of one call."""

    row: Row
    ours: float
    theirs: float

    @property
    def ratio(self) -> float:
        return self.theirs / self.ours

    @property
    def verdict(self) -> str:
        if self.row.promised is None:
            return ""
        return f"{self.row.promised:g} " + ("met" if self.ratio >= self.row.promised else "not met")


COOKIES = "visitor=5f2b9c1e7d3a4b68; theme=dark; consent=necessary; session=eyJhIjoxfQ.Zx.abc-_d"
FORM = (
    b"name=Ada+Lovelace&email=ada%40example.org&subject=Notes&message=The+engine+weaves"
    b"+algebraic+patterns+just+as+the+loom+weaves+flowers+and+leaves.&send=1"
)
PAIRS = [(f"field{number % 40}", str(number)) for number in range(60)]
FIVE = PAIRS[:5]
BOUNDARY = "----benchmark7f3a9c"


def multipart(parts: list[tuple[str, bytes]]) -> bytes:
    """A body of `parts`: parameters of Content-Disposition, and content."""
    body = b"".join(
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {name}\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, content in parts
    )
    return body + f"--{BOUNDARY}--\r\n".encode()


FIELDS = multipart([(f'name="field{n}"', b"some text of a field" * 2) for n in range(20)])
FILE = multipart([('name="file"; filename="photo.bin"', bytes(range(256)) * 4096)])


def form_reader(parser: Any, content_type: str, body: bytes) -> Callable[[], Any]:
    """A function that parses `body` and returns the fields and the sizes of files."""
    environ = {
        "wsgi.input": None,
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": str(len(body)),
    }

    def read() -> Any:
        _, form, files = parser(environ | {"wsgi.input": io.BytesIO(body)})
        return form.to_dict(flat=False), [file.stream.seek(0, 2) for file in files.values()]

    return read


def rules(routing: Any, number: int) -> list[Any]:
    return [
        routing.Rule(f"/section{n}/<int:item>/<name>", endpoint=f"section{n}")
        for n in range(number)
    ]


def built(routing: Any, number: int) -> Any:
    """A map that is sorted, which Werkzeug does when it is first used."""
    made = routing.Map(rules(routing, number))
    made.update()
    return made


def adapter(routing: Any, number: int) -> Any:
    return built(routing, number).bind("example.org", "/")


def rows() -> Iterator[Row]:
    ours, theirs = carboy.routing, werkzeug.routing
    last = f"/section{MANY - 1}/21/ada"
    few, many, rival = adapter(ours, FEW), adapter(ours, MANY), adapter(theirs, MANY)
    yield Row(f"match, {MANY:,} rules", lambda: many.match(last), lambda: rival.match(last), None)
    yield Row(
        f"match, {MANY:,} rules compared with {FEW}",
        lambda: many.match(last)[1],
        lambda: few.match(f"/section{FEW - 1}/21/ada")[1],
        0.9,
        rival=f"Carboy, {FEW} rules",
    )
    values = {"item": 21, "name": "ada"}
    endpoint = f"section{MANY - 1}"
    yield Row(
        f"build a URL, {MANY:,} rules",
        lambda: many.build(endpoint, values),
        lambda: rival.build(endpoint, values),
        5,
    )
    unknown = values | {"page": 2}
    yield Row(
        "build a URL with a query",
        lambda: many.build(endpoint, unknown),
        lambda: rival.build(endpoint, unknown),
        5,
    )
    yield Row(
        f"create a map of {MANY:,} rules",
        lambda: built(ours, MANY),
        lambda: built(theirs, MANY),
        2,
        same=False,
    )
    yield from value_rows()


def value_rows() -> Iterator[Row]:
    ours, theirs = carboy.http.parse_form_data, werkzeug.formparser.parse_form_data
    for title, content_type, body in (
        ("multipart, 20 fields", f"multipart/form-data; boundary={BOUNDARY}", FIELDS),
        ("multipart, file of 1 MiB", f"multipart/form-data; boundary={BOUNDARY}", FILE),
        ("form with five fields", "application/x-www-form-urlencoded", FORM),
    ):
        yield Row(
            title,
            form_reader(ours, content_type, body),
            form_reader(theirs, content_type, body),
            1.5,
        )
    yield Row(
        "Cookie header with four cookies",
        lambda: carboy.http.parse_cookie(COOKIES),
        lambda: werkzeug.http.parse_cookie(COOKIES),
        1.5,
    )
    for title, pairs in (("five pairs", FIVE), ("60 pairs, 40 keys", PAIRS)):
        yield dict_row(title, pairs)


def dict_row(title: str, pairs: list[tuple[str, str]]) -> Row:
    return Row(
        f"MultiDict with {title}",
        lambda: carboy.http.MultiDict(pairs),
        lambda: werkzeug.datastructures.MultiDict(pairs),
        1.5,
    )


def check(row: Row) -> None:
    ours, theirs = row.ours(), row.theirs()
    if row.same and plain(ours) != plain(theirs):
        sys.exit(f"{row.title}: the results differ:\n{ours!r}\n{theirs!r}")


def plain(value: Any) -> Any:
    """A value that can be compared between the packages: a MultiDict as a dict of lists."""
    return value.to_dict(flat=False) if hasattr(value, "to_dict") else value


def timed(row: Row) -> Timed:
    """Run both, alternating, `SLICES` times."""
    check(row)
    sides = [(row.ours, calls(row.ours)), (row.theirs, calls(row.theirs))]
    best = [float("inf"), float("inf")]
    for _ in range(SLICES if max(one for _, one in sides) > 1 else 9):
        for side, (work, number) in enumerate(sides):
            best[side] = min(best[side], slice_of(work, number) / number)
    return Timed(row, best[0] * 1e6, best[1] * 1e6)


def calls(work: Callable[[], Any]) -> int:
    """The number of calls in one slice."""
    return max(1, int(SLICE_SECONDS / max(slice_of(work, 3) / 3, 1e-9)))


def slice_of(work: Callable[[], Any], number: int) -> float:
    start = time.perf_counter()
    for _ in range(number):
        work()
    return time.perf_counter() - start


def table(results: list[Timed]) -> str:
    lines = [
        "| work | Carboy µs | compared with | µs | ratio | promised |",
        "|---|---:|---|---:|---:|---|",
    ]
    lines += [
        f"| {one.row.title} | {one.ours:,.2f} | {one.row.rival} | {one.theirs:,.2f}"
        f" | {one.ratio:.2f} | {one.verdict} |"
        for one in results
    ]
    return "\n".join(lines)


def publish(text: str) -> None:
    document = DOCUMENT.read_text()
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    python = sys.version.split()[0]
    versions = (
        f"Python {python}, Carboy {carboy.__version__}, Werkzeug {version('werkzeug')};"
        f" `python -m bench.micro --write`, {time.strftime('%Y-%m-%d')}."
    )
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{versions}\n\n{text}\n\n{END}{after}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.micro", description=__doc__)
    parser.add_argument(
        "--write", action="store_true", help="write the table into docs/benchmarks.md"
    )
    options = parser.parse_args()
    text = table([timed(row) for row in rows()])
    print(text)
    if options.write:
        publish(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
