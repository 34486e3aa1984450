"""Import of modules and objects by their dotted names."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any


class ImportStringError(ImportError):
    """`import_string` failed. `exception` is the original exception."""

    def __init__(self, import_name: str, exception: BaseException) -> None:
        self.import_name = import_name
        self.exception = exception
        cause = f"{type(exception).__name__}: {exception}"
        if _is_missing(import_name, exception):
            found = _importable_part(import_name)
            where = f"{found!r} can be imported, the rest cannot" if found else "nothing is there"
            told = f"{where}. {cause}. Check the spelling and that its directory is on sys.path."
        else:
            told = f"an import inside it failed. {cause}. Install or correct what it imports."
        super().__init__(f"import_string() failed for {import_name!r}: {told}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self.import_name!r}, {self.exception!r})>"


def _is_missing(import_name: str, exception: BaseException) -> bool:
    """Whether the name does not exist; otherwise its code failed to import."""
    if isinstance(exception, ModuleNotFoundError):
        return f"{import_name}.".startswith(f"{exception.name}.")
    return not isinstance(exception, ImportError) or exception.name == import_name


def _importable_part(import_name: str) -> str:
    """The longest prefix of the name that has been imported."""
    parts = import_name.split(".")
    for count in range(len(parts), 0, -1):
        name = ".".join(parts[:count])
        if name in sys.modules:
            return name
    return ""


def import_string(import_name: str, silent: bool = False) -> Any:
    """The module or object `package.module.name`, or `package.module:name`.

    ImportStringError if it cannot be imported; None instead with `silent`.
    """
    import_name = import_name.replace(":", ".")
    try:
        return _find(import_name)
    except ImportError as error:
        if silent:
            return None
        raise ImportStringError(import_name, error).with_traceback(sys.exc_info()[2]) from None


def _find(import_name: str) -> Any:
    try:
        __import__(import_name)
    except ImportError as error:
        if "." not in import_name:
            raise
        failure = error
    else:
        return sys.modules[import_name]
    module_name, _, name = import_name.rpartition(".")
    module = import_module(module_name)
    try:
        return getattr(module, name)
    except AttributeError as error:
        # If a module of this name exists, the error says why it cannot be imported.
        if not _is_missing(import_name, failure):
            raise failure from None
        raise ImportError(error, name=import_name) from None


def find_modules(
    import_path: str, include_packages: bool = False, recursive: bool = False
) -> Iterator[str]:
    """The names of the modules in a package, with its packages if `include_packages`.

    ValueError if `import_path` is not a package.
    """
    from pkgutil import iter_modules

    package = import_string(import_path)
    path = getattr(package, "__path__", None)
    if path is None:
        raise ValueError(
            f"{import_path!r} is not a package: it is a module and contains no modules."
        )
    for _, name, is_package in iter_modules(path):
        full_name = f"{package.__name__}.{name}"
        if not is_package:
            yield full_name
            continue
        if include_packages:
            yield full_name
        if recursive:
            yield from find_modules(full_name, include_packages, True)
