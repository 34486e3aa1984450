"""A sentence about an application that ends its own process while a request is explained."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


@contextmanager
def exit_told() -> Iterator[None]:
    """Within this context, `os._exit` says who called it before the process ends.

    A child process ends as usual.
    """
    leave, process = os._exit, os.getpid()

    def _exit(status: int) -> NoReturn:
        if os.getpid() == process:
            frame = sys._getframe(1)
            place = f"{frame.f_code.co_name}, {frame.f_code.co_filename}:{frame.f_lineno}"
            print(
                f"Error: The application ended the process with os._exit({status}), in {place}."
                " Use --from-start, which shows the calls before.",
                file=sys.stderr, flush=True,
            )  # fmt: skip
        leave(status)

    os._exit = _exit
    try:
        yield
    finally:
        os._exit = leave
