"""Settings of static files, and the gateway that answers with them (docs/static-files.md)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from carboy.gateway.interface import Gateway
from carboy.gateway.mounts import read_prefix
from carboy.server.dataclass import dataclass
from carboy.server.setting import KIB, STATIC, check_values, setting

if TYPE_CHECKING:
    from carboy.gateway.static.gateway import Folder

# A hash as webpack, esbuild, Django and many others write it into a name: `app.3f2a9c41.js`. It has
# a letter and a digit, so that neither a date nor a word is taken for one.
IMMUTABLE = r"[.-](?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{8,64}\.[^/]*$"


@dataclass(frozen=True, slots=True)
class StaticFiles:
    """The folders whose files are answered without the application, and how clients keep them."""

    static: tuple[str, ...] = setting(
        (),
        "PREFIX=FOLDER",
        "Folder whose files are served below this prefix of the path, before the application is"
        " asked. May be given more than once.",
        STATIC,
        shown="none",
    )
    static_index: bool = setting(
        False, "yes or no", "Answer with the file index.html for the path of its folder.", STATIC
    )
    static_max_age: int = setting(
        0,
        "seconds",
        "Time for which clients use a static file without asking. 0: they ask each time.",
        STATIC,
    )
    static_immutable: str = setting(
        IMMUTABLE,
        "pattern",
        "Regular expression for the paths of static files that never change, so that clients keep"
        " them for a year. Empty: none.",
        STATIC,
        shown="names with a hash in hexadecimal digits",
    )
    static_memory: int = setting(
        16 * 1024 * KIB,
        "bytes",
        "Maximum memory for the contents of small static files, per worker.",
        STATIC,
    )

    def __post_init__(self) -> None:
        check_values(self)
        wanted: object = self.static
        object.__setattr__(
            self, "static", (wanted,) if isinstance(wanted, str) else tuple(self.static)
        )
        if self.static:
            folders_of(self.static)
        try:
            re.compile(self.static_immutable)
        except re.error as problem:
            raise ValueError(
                f"--static-immutable {self.static_immutable!r} is not a regular expression:"
                f" {problem}."
            ) from None


def folders_of(wanted: Iterable[str]) -> list[Folder]:
    """The folders of `--static`. Raises ValueError, which says what is wrong with one."""
    from carboy.gateway.static.gateway import Folder

    found: dict[str, Folder] = {}
    for text in wanted:
        prefix, equals, path = text.partition("=")
        if not equals or not path:
            raise ValueError(
                f"--static {text!r} is not PREFIX=FOLDER. Write it like /assets=dist/assets."
            )
        if prefix.strip("/") or not prefix:
            try:
                prefix = read_prefix(prefix)
            except ValueError as problem:
                raise ValueError(f"--static {text}: {problem}") from None
        else:
            prefix = ""
        if prefix in found:
            raise ValueError(
                f"--static is given twice for {prefix or '/'}. Choose another prefix for one."
            )
        folder = Path(path).absolute()
        if not folder.is_dir():
            raise ValueError(f"--static {text}: {path} is not a folder. Make it, or correct it.")
        found[prefix] = Folder(prefix, os.fsencode(folder))
    return list(found.values())


def with_static_files(gateway: Gateway, settings: StaticFiles) -> Gateway:
    """`gateway`, after the static files of the settings if there are any."""
    if not settings.static:
        return gateway
    from carboy.gateway.static.answers import Caching
    from carboy.gateway.static.gateway import StaticGateway

    return StaticGateway(
        gateway,
        folders_of(settings.static),
        Caching(settings.static_max_age, settings.static_immutable),
        settings.static_index,
        settings.static_memory,
    )
