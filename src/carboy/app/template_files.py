"""The code of templates in files, so that a worker that starts does not compile them again.

    ~/.cache/carboy/templates/        or a folder of the configuration TEMPLATE_BYTECODE_CACHE
      5f2b…e1.cache                   the code of one template for one state of its environment

The name of a file is a digest of the name and the place of the template and of everything else that
the compiler reads (see `template_strings`), and the file has a digest of the source. So a file is
either the code that Jinja would make now, or it is not found. Code is executed, so a folder that
another user could change is not used. A folder or file that cannot be read or written is not an
error: the template is compiled.
"""

from __future__ import annotations

import contextlib
import os
import platform
import stat
import tempfile
import time
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment
from jinja2.bccache import Bucket, BytecodeCache

from carboy.app.template_code import VERSION
from carboy.app.template_strings import is_stable, read_by_compiler

SUFFIX = ".cache"
LIMIT = 4096  # files; the oldest half is removed when there are more
LEFT_OVER = 3600.0  # seconds after which the temporary file of a process that has died is removed


class BytecodeFiles(BytecodeCache):
    """Keeps the code of templates in the files of a folder. Never raises OSError."""

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self.folder = folder
        self._limit = limit

    def get_bucket(
        self, environment: Environment, name: str, filename: str | None, source: str
    ) -> Bucket:
        """The code for a template; without code if it has to be compiled."""
        key = f"{self.get_cache_key(name, filename)}\n{_state_text(environment, name)}"
        bucket = Bucket(environment, sha256(key.encode()).hexdigest(), _checksum(source))
        bucket.source = source  # type: ignore[attr-defined]
        self.load_bytecode(bucket)
        return bucket

    def load_bytecode(self, bucket: Bucket) -> None:
        """Read the code from its file, if there is one that only this user can change."""
        try:
            with self._path(bucket).open("rb") as file:
                if _only_ours(os.fstat(file.fileno())):
                    bucket.load_bytecode(file)
        except OSError:
            pass
        except Exception:  # not a file that Jinja has written
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Write the code to its file, unless it depends on more than the name of the file says."""
        source = getattr(bucket, "source", "")
        if not (_is_known(bucket.environment) and is_stable(bucket.environment, source)):
            return
        with contextlib.suppress(OSError):
            if not private(self.folder):
                return
            self._write(bucket)
            self._remove_old()

    def clear(self) -> None:
        """Remove all files."""
        for path in self._files():
            _remove(path)

    def _path(self, bucket: Bucket) -> Path:
        return self.folder / f"{bucket.key}{SUFFIX}"

    def _write(self, bucket: Bucket) -> None:
        made, temporary = tempfile.mkstemp(dir=self.folder, suffix=".new")
        try:
            with os.fdopen(made, "wb") as file:
                bucket.write_bytecode(file)
            Path(temporary).replace(self._path(bucket))
        except BaseException:  # a full disk, or a stop of the program
            _remove(Path(temporary))
            raise

    def _files(self) -> list[Path]:
        try:
            return list(self.folder.glob(f"*{SUFFIX}"))
        except OSError:
            return []

    def _remove_old(self) -> None:
        files = self._files()
        if len(files) <= self._limit:
            return
        for path in sorted(files, key=_modified)[: len(files) // 2]:
            _remove(path)
        for path in self.folder.glob("*.new"):
            if time.time() - _modified(path) > LEFT_OVER:
                _remove(path)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another process has removed it
        return 0.0


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _is_known(environment: Environment) -> bool:
    """Whether all code that runs while a template is compiled is that of Carboy and Jinja.

    The code of an application may change while its names stay the same.
    """
    kinds = (type(environment), environment.code_generator_class, environment.undefined)
    return {"getattr", "getitem"}.isdisjoint(vars(environment)) and all(
        kind.__module__.startswith(("carboy.", "jinja2.")) for kind in kinds
    )


def _checksum(source: str) -> str:
    return sha256(source.encode("utf-8", "surrogatepass")).hexdigest()


def _state_text(environment: Environment, name: str) -> str:
    """Everything but the source that the compiler reads, the same in each process."""
    read, filters, tests, policies, extensions = read_by_compiler(environment, name)
    parts = [*_versions(), *map(_text, read)]
    parts += [_called(table) for table in (filters, tests)]
    parts += [f"{key}={_text(value)}" for key, value in sorted(policies.items())]
    return "\n".join(map(str, (*parts, *sorted(extensions))))


@cache
def _versions() -> tuple[str, ...]:
    packages = [version(name) for name in ("jinja2", "markupsafe")]
    return (str(VERSION), platform.python_version(), *packages)


def _called(table: Any) -> str:
    """The names of filters or tests, and what each of them gets besides its values."""
    passed = ((name, getattr(value, "jinja_pass_arg", None)) for name, value in table.items())
    return _joined(f"{name}:{_text(value)}" for name, value in sorted(passed, key=_first))


def _first(pair: tuple[str, Any]) -> str:
    return pair[0]


def _joined(texts: Iterable[str]) -> str:
    return ",".join(texts)


def _text(value: Any) -> str:
    """A text for a value that does not have its address."""
    if callable(value):
        return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value))}"
    return repr(value)


def private(folder: Path) -> bool:
    """Whether only this user can change a folder. It is made if it does not exist."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = folder.lstat()
    return stat.S_ISDIR(state.st_mode) and _only_ours(state)


def _only_ours(state: os.stat_result) -> bool:
    if not hasattr(os, "getuid"):  # Windows: the folder is in the profile of the user
        return True
    return state.st_uid == os.getuid() and not state.st_mode & 0o022


def folder_of_user() -> Path | None:
    """The folder for the files of this user; None if there is none that only this user can change.

    It is below XDG_CACHE_HOME or ~/.cache, or else in the folder for temporary files.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0
    candidates = [Path(tempfile.gettempdir()) / f"carboy-{user}"]
    with contextlib.suppress(RuntimeError):  # a user without a home folder
        given = Path(os.environ.get("XDG_CACHE_HOME", ""))
        home = given if given.is_absolute() else Path.home() / ".cache"
        candidates.insert(0, home / "carboy")
    for candidate in candidates:
        with contextlib.suppress(OSError):
            if private(candidate) and private(candidate / "templates"):
                return candidate / "templates"
    return None


def cache_for(app: Any) -> BytecodeFiles | None:
    """The files for an application, as its configuration TEMPLATE_BYTECODE_CACHE says.

    A folder, or True for the folder of this user, or False for none. None means True, unless the
    application is in debug or testing mode.
    """
    wanted = app.config.get("TEMPLATE_BYTECODE_CACHE")
    if wanted is None:
        wanted = not (app.debug or app.testing)
    if wanted is False:
        return None
    folder = folder_of_user() if wanted is True else Path(app.root_path, wanted)
    if folder is None:
        return None
    if folder.is_dir() and not _only_ours(folder.stat()):
        app.logger.warning(
            "The code of templates is not kept in %s, because other users can change that folder."
            " Change its owner or its mode (0700), or TEMPLATE_BYTECODE_CACHE.",
            folder,
        )
        return None
    return BytecodeFiles(folder)
