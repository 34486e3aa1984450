"""Which twin runs: the compiled functions or the Python ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from carboy import speedups as module
from carboy.speedups import COMPILED, MODULES, OUTDATED, VARIABLE, Speedups, is_current


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """Modules that are there as if they were built."""
    monkeypatch.delenv(VARIABLE, raising=False)
    found = {name: ModuleType(f"{module.PACKAGE}.{name}") for name in MODULES}
    for each in found.values():
        monkeypatch.setitem(sys.modules, each.__name__, each)
    return found


def absent(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(name: str) -> ModuleType:
        raise error

    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(module, "import_module", fail)


def test_compiled_functions_are_used_if_they_are_there(built: dict[str, ModuleType]) -> None:
    speedups = Speedups()
    chosen: list[ModuleType | None] = []
    speedups.twins("head", chosen.append)
    assert chosen == [built["head"]]
    assert speedups.state() == COMPILED


@pytest.mark.parametrize(("value", "off"), [("1", True), ("yes", True), ("", False), ("0", False)])
def test_a_variable_turns_them_off(
    value: str, off: bool, built: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    speedups = Speedups()
    chosen: list[ModuleType | None] = []
    speedups.twins("head", chosen.append)
    assert chosen == [None if off else built["head"]]
    assert speedups.state() == ("Python (turned off by CARBOY_NO_SPEEDUPS)" if off else COMPILED)


def test_compiled_modules_load_first_or_last() -> None:
    """They import nothing of the package, so the order does not matter."""
    for first in MODULES:
        script = (
            "try:\n"
            f"    import carboy._speedups.{first}\n"
            "except ModuleNotFoundError:\n"
            "    pass\n"
            "import carboy.protocol, carboy.gateway\n"
        )
        subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_without_them_the_python_functions_run(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"{module.PACKAGE}.head"
    absent(monkeypatch, ModuleNotFoundError(f"No module named {name!r}", name=name))
    speedups = Speedups()
    chosen: list[ModuleType | None] = []
    speedups.twins("head", chosen.append)
    assert chosen[-1] is None
    assert speedups.state() == "Python (the compiled functions are not built)"


@pytest.mark.parametrize(
    "error", [ImportError("undefined symbol: PyFoo"), ModuleNotFoundError("No module", name="x")]
)
def test_the_reason_names_an_error_while_they_load(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent(monkeypatch, error)
    assert Speedups().state() == f"Python (carboy._speedups.head could not be loaded: {error})"


def test_one_that_does_not_load_turns_all_of_them_off(
    built: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    speedups = Speedups()
    chosen: list[ModuleType | None] = []
    speedups.twins("head", chosen.append)
    absent(monkeypatch, ImportError("wrong Python"))
    speedups.twins("other", chosen.append)
    assert chosen == [built["head"], None, None]


def test_a_module_older_than_its_source_is_not_used(tmp_path: Path) -> None:
    compiled = ModuleType("carboy._speedups.head")
    source, binary = tmp_path / "head.pyx", tmp_path / "head.cpython-311.so"
    compiled.__file__ = str(binary)
    binary.touch()
    assert is_current(compiled)  # a wheel has no source
    source.touch()
    os.utime(binary, (1000, 1000))
    os.utime(source, (1000, 1000))
    assert is_current(compiled)
    os.utime(source, (2000, 2000))
    assert not is_current(compiled)
    os.utime(source, (1000, 1000))
    (tmp_path / "names.pxd").touch()  # of all modules
    assert not is_current(compiled)


def test_the_reason_names_no_module_since_they_are_outdated_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(module, "import_module", ModuleType)
    monkeypatch.setattr(module, "is_current", lambda compiled: False)
    states = []
    for first in ("head", "turn"):
        speedups = Speedups()
        speedups.twins(first, lambda module: None)
        states.append(speedups.state())
    assert states == 2 * [f"Python ({OUTDATED})"]


def test_a_recording_has_the_python_functions_until_it_ends(built: dict[str, ModuleType]) -> None:
    speedups = Speedups()
    chosen: list[ModuleType | None] = []
    speedups.twins("head", chosen.append)
    speedups.hold("a recording")
    speedups.hold("another recording")
    assert speedups.state() == "Python (a recording)"
    speedups.release("a recording")
    assert chosen[1:] == [None, None, None]
    speedups.release("another recording")
    assert chosen[-1] is built["head"]
    assert speedups.state() == COMPILED


def test_the_debugger_has_them_for_as_long_as_the_process_lives(
    built: dict[str, ModuleType],
) -> None:
    speedups = Speedups()
    chosen: list[ModuleType | None] = []
    speedups.twins("head", chosen.append)
    speedups.interpret("the debugger is in use")
    speedups.interpret("something else")
    speedups.hold("a recording")
    speedups.release("a recording")
    assert chosen[-1] is None
    assert speedups.reason == "the debugger is in use"


def test_debugging_tools_ask_for_the_python_functions() -> None:
    """In a process of its own, because the request lasts."""
    script = (
        "import tempfile\n"
        "from pathlib import Path\n"
        "from carboy.speedups import speedups, Speedups\n"
        "asked = []\n"
        "Speedups.interpret = lambda self, reason: asked.append(reason)\n"
        "from carboy.dev.debugger import DebuggedApplication\n"
        "from carboy.dev.requests.middleware import RequestList\n"
        "from carboy.dev.requests.store import Store\n"
        "guard = DebuggedApplication(print, pin_security=False)\n"
        "RequestList(guard, Store(Path(tempfile.mkdtemp())), guard)\n"
        "assert 'the debugger is in use' in asked, asked\n"
        "assert 'the list of requests is in use' in asked, asked\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
