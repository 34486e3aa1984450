"""The settings of the server that the realtime room uses, as the server passes them on.

They are in the environment of the workers and of the processes that they start, because the
framework does not know the server's settings.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields

from carboy.engine_url import LOCAL, VARIABLE
from carboy.sizes import size_of_text

CHANNELS = "CARBOY_CHANNELS_SETTINGS"
MAX_MESSAGE = "CARBOY_CHANNEL_MAX_MESSAGE"  # --channel-max-message of scripts


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of channels. The defaults are those of a process without Carboy's server."""

    url: str = LOCAL
    history: int = 100
    seconds: float = 300.0
    memory: int = 64 * 1024 * 1024
    max_message: int = 1024 * 1024
    hold_buffer: int = 256 * 1024
    slow: str = "disconnect"
    relay_buffer: int = 33 * 1024 * 1024


def options() -> Options:
    """The options of this process."""
    text = os.environ.get(CHANNELS)
    if not text:
        return _of_a_script()
    known = {each.name for each in fields(Options)}
    values = json.loads(text)
    return Options(**{name: value for name, value in values.items() if name in known})


def _of_a_script() -> Options:
    """The options of a process without Carboy's server: variables of two options of `carboy run`.

    Raises ValueError for a size that is wrong.
    """
    url = os.environ.get(VARIABLE) or LOCAL
    size = os.environ.get(MAX_MESSAGE)
    if not size:
        return Options(url)
    try:
        return Options(url, max_message=size_of_text(size))
    except ValueError as problem:
        raise ValueError(f"{MAX_MESSAGE}: {problem}") from None


def as_text(chosen: Options) -> str:
    """The value of the variable for these options."""
    return json.dumps(asdict(chosen))
