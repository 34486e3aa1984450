"""The build hook: compiled modules are in a wheel only if they are asked for."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def module() -> Any:
    spec = importlib.util.spec_from_file_location("hatch_build", CHECKOUT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def hooked(module: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The data of a build after the hook, which compiles nothing here."""
    made = [module.FOLDER / "head.cpython-313-x86_64-linux-gnu.so"]
    monkeypatch.setattr(module, "build", lambda: made)
    data: dict[str, Any] = {"pure_python": True, "infer_tag": False, "force_include": {}}
    module.SpeedupsHook.initialize(None, "standard", data)
    return data


@pytest.mark.parametrize("value", ["", "0"])
def test_a_wheel_is_for_every_platform(
    value: str, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(module.VARIABLE, value)
    data = hooked(module, monkeypatch)
    assert (data["pure_python"], data["infer_tag"], data["force_include"]) == (True, False, {})
    assert module.SpeedupsHook.dependencies(None) == []


def test_a_wheel_with_compiled_modules_is_for_one_platform(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(module.VARIABLE, "1")
    data = hooked(module, monkeypatch)
    [(source, target)] = data["force_include"].items()
    assert (data["pure_python"], data["infer_tag"]) == (False, True)
    assert target == f"carboy/_speedups/{Path(source).name}"
    assert any(name.startswith("cython") for name in module.SpeedupsHook.dependencies(None))


def test_a_copy_has_no_compiled_modules(module: Any, tmp_path: Path) -> None:
    before = tmp_path / "old"
    before.mkdir()
    (before / "left-over").touch()
    root = module.copy(before)
    names = {path.name for path in (root / "src" / "carboy" / "_speedups").iterdir()}
    assert "head.pyx" in names
    assert not [name for name in names if name.endswith((".so", ".pyd"))]
    assert not (before / "left-over").exists()


def test_the_source_archive_has_what_a_build_needs() -> None:
    text = (CHECKOUT / "pyproject.toml").read_text()
    [line] = [line for line in text.splitlines() if line.startswith("include = [")]
    assert '"hatch_build.py"' in line
    assert '"src"' in line
