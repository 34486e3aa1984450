"""The configuration of an application: a dict that can be filled from several sources."""

from __future__ import annotations

import errno
import json
import os
import types
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import IO, Any, Generic, TypeVar, overload

from carboy.http.imports import import_string
from carboy.late import pathlib

__all__ = ["Config", "ConfigAttribute"]

T = TypeVar("T")
MISSING_PY = (errno.ENOENT, errno.EISDIR, errno.ENOTDIR)
MISSING_FILE = (errno.ENOENT, errno.EISDIR)

# The configuration of every new application.
DEFAULT_CONFIG: dict[str, Any] = {
    "DEBUG": None,  # set from the environment when the configuration is made
    "TESTING": False,
    "PROPAGATE_EXCEPTIONS": None,  # as TESTING or DEBUG
    "SECRET_KEY": None,
    "SECRET_KEY_FALLBACKS": None,
    "PERMANENT_SESSION_LIFETIME": timedelta(days=31),
    "USE_X_SENDFILE": False,
    "TRUSTED_HOSTS": None,
    "SERVER_NAME": None,
    "APPLICATION_ROOT": "/",
    "SESSION_COOKIE_NAME": "session",
    "SESSION_COOKIE_DOMAIN": None,
    "SESSION_COOKIE_PATH": None,  # as APPLICATION_ROOT
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_SECURE": False,
    "SESSION_COOKIE_PARTITIONED": False,
    "SESSION_COOKIE_SAMESITE": None,
    "SESSION_REFRESH_EACH_REQUEST": True,
    "MAX_CONTENT_LENGTH": None,
    "MAX_FORM_MEMORY_SIZE": 500_000,
    "MAX_FORM_PARTS": 1_000,
    "SEND_FILE_MAX_AGE_DEFAULT": None,
    "TRAP_BAD_REQUEST_ERRORS": None,
    "TRAP_HTTP_EXCEPTIONS": False,
    "EXPLAIN_TEMPLATE_LOADING": False,
    "PREFERRED_URL_SCHEME": "http",
    "TEMPLATES_AUTO_RELOAD": None,  # as DEBUG
    "MAX_COOKIE_SIZE": 4093,
    "PROVIDE_AUTOMATIC_OPTIONS": True,
}


def _timedelta(value: Any) -> Any:
    """Seconds as a timedelta; None stays None."""
    return value if value is None or isinstance(value, timedelta) else timedelta(seconds=value)


class ConfigAttribute(Generic[T]):
    """An attribute of the application that is stored as a key of its configuration."""

    def __init__(self, name: str, get_converter: Callable[[Any], T] | None = None) -> None:
        self.__name__ = name
        self.get_converter = get_converter

    @overload
    def __get__(self, obj: None, owner: None) -> ConfigAttribute[T]: ...

    @overload
    def __get__(self, obj: Any, owner: type | None) -> T: ...

    def __get__(self, obj: Any, owner: Any = None) -> T | ConfigAttribute[T]:
        if obj is None:
            return self
        value = obj.config[self.__name__]
        if self.get_converter is not None:
            value = self.get_converter(value)
        return value  # type: ignore[no-any-return]

    def __set__(self, obj: Any, value: Any) -> None:
        obj.config[self.__name__] = value


class Config(dict[str, Any]):
    """A dict with methods to fill it. Only upper-case names are taken from files and objects.

    File names are relative to `root_path`.
    """

    def __init__(
        self, root_path: str | os.PathLike[str], defaults: dict[str, Any] | None = None
    ) -> None:
        super().__init__(defaults or {})
        self.root_path = root_path

    def from_envvar(self, variable_name: str, silent: bool = False) -> bool:
        """Read the Python file whose path is in an environment variable."""
        filename = os.environ.get(variable_name)
        if filename:
            return self.from_pyfile(filename, silent=silent)
        if silent:
            return False
        raise RuntimeError(
            f"The environment variable {variable_name!r} is not set. Set it to the path of"
            " a configuration file, or pass silent=True to continue without one."
        )

    def from_prefixed_env(
        self, prefix: str = "FLASK", *, loads: Callable[[str], Any] = json.loads
    ) -> bool:
        """Set a key from each environment variable that starts with `prefix_`.

        Values are parsed with `loads`; a value that it cannot parse stays text. `A__B` sets the
        key `B` of the dict `A`. Variables are read in the order of their names.
        """
        start = f"{prefix}_"
        for variable in sorted(name for name in os.environ if name.startswith(start)):
            value: Any = os.environ[variable]
            try:
                value = loads(value)
            except Exception:
                pass  # plain text; `loads` of the caller may raise any exception
            *path, last = variable[len(start) :].split("__")
            target: Any = self
            for step in path:
                if step not in target:
                    target[step] = {}
                target = target[step]
            target[last] = value
        return True

    def from_pyfile(self, filename: str | os.PathLike[str], silent: bool = False) -> bool:
        """Execute a Python file and take its upper-case names."""
        path = pathlib.Path(self.root_path, filename)
        module = types.ModuleType("config")
        module.__file__ = str(path)
        source = self._read(path, "rb", silent, MISSING_PY)
        if source is None:
            return False
        exec(compile(source, path, "exec"), module.__dict__)
        self.from_object(module)
        return True

    def from_object(self, obj: object | str) -> None:
        """Take the upper-case attributes of an object, or of the object with an import name."""
        if isinstance(obj, str):
            obj = import_string(obj)
        for name in dir(obj):
            if name.isupper():
                self[name] = getattr(obj, name)

    def from_file(
        self,
        filename: str | os.PathLike[str],
        load: Callable[[IO[Any]], Mapping[str, Any]],
        silent: bool = False,
        text: bool = True,
    ) -> bool:
        """Take the upper-case keys of the mapping that `load` reads from an open file."""
        path = pathlib.Path(self.root_path, filename)
        try:
            with path.open("r" if text else "rb") as file:
                values = load(file)
        except OSError as error:
            if silent and error.errno in MISSING_FILE:
                return False
            raise _unreadable(error) from None
        return self.from_mapping(values)

    def from_mapping(self, mapping: Mapping[str, Any] | None = None, **kwargs: Any) -> bool:
        """Take the upper-case keys of a mapping and of the keyword arguments."""
        for values in (dict(mapping or ()), kwargs):
            for key, value in values.items():
                if key.isupper():
                    self[key] = value
        return True

    def get_namespace(
        self, namespace: str, lowercase: bool = True, trim_namespace: bool = True
    ) -> dict[str, Any]:
        """The keys that start with `namespace`, as a new dict."""
        found = {}
        for key, value in self.items():
            if key.startswith(namespace):
                name = key[len(namespace) :] if trim_namespace else key
                found[name.lower() if lowercase else name] = value
        return found

    def _read(self, path: pathlib.Path, mode: str, silent: bool, missing: tuple[int, ...]) -> Any:
        try:
            with path.open(mode) as file:
                return file.read()
        except OSError as error:
            if silent and error.errno in missing:
                return None
            raise _unreadable(error) from None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {dict.__repr__(self)}>"


def _unreadable(error: OSError) -> OSError:
    error.strerror = f"Unable to load configuration file ({error.strerror})"
    return error
