"""The units of examples/deploy/systemd, checked by systemd itself."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from documented import plan_of

UNITS = Path(__file__).parents[2] / "examples" / "deploy" / "systemd"
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The units, with a program that exists."""
    for unit in UNITS.iterdir():
        text = unit.read_text().replace("/srv/shop/.venv/bin/carboy", sys.executable)
        (tmp_path / unit.name).write_text(text.replace("WorkingDirectory=/srv/shop", ""))
    return tmp_path


@needs_systemd
def test_systemd_accepts_the_units(folder: Path) -> None:
    units = [str(folder / name) for name in ("shop.service", "shop.socket")]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if "shop" in line]
    assert said == []


@needs_systemd
def test_systemd_calls_the_service_safe(folder: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", "shop.service"]
    done = subprocess.run(
        [*command[:-1], str(folder / "shop.service")], capture_output=True, text=True, check=False
    )
    if "unrecognized option" in done.stderr:
        pytest.skip("needs systemd 250")
    found = re.search(r"Overall exposure level for shop.service: ([0-9.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert float(found[1]) < 2.5


def test_carboy_accepts_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.py").write_text("def app(environ, start_response): ...\n")
    parser = configparser.RawConfigParser(strict=False, delimiters="=")
    parser.read(UNITS / "shop.service")
    program, *args = shlex.split(parser["Service"]["ExecStart"])
    assert program.endswith("/carboy")
    plan = plan_of(shlex.join(["carboy", *args]), monkeypatch)
    stop = plan.settings.operation.drain_delay + plan.settings.graceful_timeout + 5
    assert float(parser["Service"]["TimeoutStopSec"]) > stop
    assert parser["Service"]["KillMode"] == "mixed"  # for --drain-delay
