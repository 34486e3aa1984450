"""The other servers, in their own virtual environment, which is created when needed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / "bench" / ".env"
PYTHON = ENVIRONMENT / "bin" / "python"
REQUIREMENTS = ROOT / "bench" / "requirements.txt"
STAMP = ENVIRONMENT / ".installed"

HINTS = {
    "bjoern": "bjoern is compiled here and needs a C compiler and libev's headers "
    "(Debian: apt-get install build-essential libev-dev)",
}


def requirements() -> list[str]:
    lines = (line.strip() for line in REQUIREMENTS.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def install(only: tuple[str, ...] = ()) -> None:
    """Create or complete the environment. Servers that cannot be installed are left out.

    All are tried at once; when that fails, one by one, so that a missing compiler or
    header costs one rival and not the run. With `only`, no others are installed.
    """
    wanted = REQUIREMENTS.read_text()
    if STAMP.exists() and STAMP.read_text() == wanted:
        return
    if only:
        install_some(only)
        return
    print("Installing the other servers into bench/.env …", file=sys.stderr, flush=True)
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
    setuptools, *others = requirements()
    complete = _pip(setuptools, "wheel") and _pip(*others)
    if not complete:
        done = [_pip(one) for one in others]  # all of them, even if one fails
        complete = all(done)
    if complete:
        STAMP.write_text(wanted)


def install_some(names: tuple[str, ...]) -> None:
    """Install only some packages, in the versions of requirements.txt."""
    installed = versions()
    asked = {re.split(r"[\[=]", one)[0]: one for one in requirements()}
    wanted = [asked[name] for name in names]
    if all(f"{name}=={installed.get(name)}" == asked[name] for name in names):
        return
    print(f"Installing {', '.join(names)} into bench/.env …", file=sys.stderr, flush=True)
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
    for one in wanted:
        _pip(one)


def missing(modules: tuple[str, ...]) -> str | None:
    """Why a server that needs `modules` cannot run, or None if it can."""
    if not PYTHON.exists():
        return "bench/.env does not exist. Run without --no-install"
    for module in modules:
        found = subprocess.run(
            [str(PYTHON), "-W", "ignore", "-c", f"import {module}"],
            capture_output=True,
            check=False,
        )
        if found.returncode:
            return HINTS.get(module, f"{module} could not be installed into bench/.env")
    return None


def versions() -> dict[str, str]:
    """The installed versions of the packages in requirements.txt."""
    if not PYTHON.exists():
        return {}
    listed = subprocess.run(
        [str(PYTHON), "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    installed = dict(line.split("==", 1) for line in listed.splitlines() if "==" in line)
    by_name = {name.lower(): version for name, version in installed.items()}
    asked = (re.split(r"[\[=]", one)[0] for one in requirements())
    wanted = sorted({*asked, "uvloop", "httptools", "starlette", "werkzeug"} - {"setuptools"})
    return {name: by_name[name] for name in wanted if name in by_name}


def _pip(*packages: str) -> bool:
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, "--no-build-isolation", *packages], capture_output=True, text=True, check=False
    )
    if done.returncode:
        name = re.split(r"[\[=]", packages[0])[0]
        if len(packages) == 1:
            reason = HINTS.get(name) or done.stderr.strip().splitlines()[-1]
            print(f"  {name} is left out: {reason}", file=sys.stderr, flush=True)
    return done.returncode == 0
