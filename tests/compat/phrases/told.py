"""Prints the messages of every row as one JSON line. Run by test_phrases.py on both sides."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import logging
import os
import sys
import warnings
from typing import Any

from table import ROWS, Row

MODULES = ("contexts", "setup", "answers", "requests", "routing", "testing", "serving", "cli")


class Output(io.StringIO):
    """A stream that stays open, for rows that close standard error."""

    def close(self) -> None:
        """Leave it open."""


class Kept(logging.Handler):
    """The records of one row."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def said(row: Row) -> list[list[str]]:
    """Type and text of every message of this row that has the right kind."""
    kept, output, raised = Kept(), Output(), []
    logging.getLogger().handlers[:] = [kept]
    with (
        warnings.catch_warnings(record=True) as warned,
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(output),
    ):
        warnings.simplefilter("always")
        try:
            row.provoke()
        except BaseException as error:
            raised.append(error)
    if row.kind == "output":
        return [["output", output.getvalue()]]
    if isinstance(row.kind, str):
        found = [record for record in kept.records if f"log:{record.name}" == row.kind]
        return [[record.levelname, record.getMessage()] for record in found]
    if issubclass(row.kind, Warning):
        alike = [each for each in warned if issubclass(each.category, row.kind)]
        return [[each.category.__name__, str(each.message)] for each in alike]
    return [[type(each).__name__, str(each)] for each in raised if isinstance(each, row.kind)]


def _named(kind: type[BaseException] | str) -> str:
    return kind if isinstance(kind, str) else kind.__name__


def main() -> None:
    if sys.argv[1] == "carboy":
        import carboy.compat

        carboy.compat.install()
    os.chdir(sys.argv[2])  # rows create files
    sys.path.insert(0, sys.argv[2])
    for module in MODULES:
        importlib.import_module(f"rows_{module}")
    logger: Any = logging.getLogger("werkzeug")
    logger.addHandler(logging.NullHandler())
    logger.setLevel(logging.DEBUG)
    told = [[row.name, row.phrase, _named(row.kind), said(row)] for row in ROWS]
    print(json.dumps(told))
    sys.stdout.flush()
    os._exit(0)  # skips messages of objects that are collected at the end


if __name__ == "__main__":
    main()
