"""A load process (bench.loads), and the conversation with it."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from bench import rivals
from bench.servers import ServerFailed, pinned

PATIENCE = 180.0


class LoadProcess:
    """A started load process, whose connections are open."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._answer()

    def command(self, command: Any) -> dict[str, float]:
        """Send a command; return its result. Raises ServerFailed."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # its last line says why it has ended
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, float]:
        output = self._process.stdout
        assert output is not None
        if not select.select([output], [], [], PATIENCE)[0]:
            raise ServerFailed(f"The load said nothing for {PATIENCE:g} s.")
        line = output.readline()
        if not line:
            raise ServerFailed("The load process ended without a result.")
        said: dict[str, Any] = json.loads(line)
        if "error" in said:
            raise ServerFailed(said["error"])
        return said


@contextlib.contextmanager
def load_process(core: int, module: str, *arguments: object) -> Iterator[LoadProcess]:
    """`python -m bench.loads.MODULE ARGUMENTS` on `core`, ended afterwards. Raises ServerFailed."""
    command = [sys.executable, "-m", f"bench.loads.{module}", *map(str, arguments)]
    with subprocess.Popen(
        pinned(core, command),
        cwd=rivals.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield LoadProcess(process)
        finally:
            process.kill()
