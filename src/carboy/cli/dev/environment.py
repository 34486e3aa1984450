"""The variables an application starts with, made anew for each start."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from carboy.cli import config


@dataclass(frozen=True, slots=True)
class Environment:
    """`before` are the variables as the user's shell gave them, `ours` those we set."""

    before: dict[str, str]
    ours: dict[str, str]
    env_file: str | None

    def restore(self) -> None:
        """Set them as if the program had just been started: what a dotenv file lost is gone."""
        wanted = self.before | {"PWD": os.environ.get("PWD", self.before.get("PWD", ""))}
        for name in os.environ.keys() - wanted.keys():
            del os.environ[name]
        for name, value in wanted.items():
            if os.environ.get(name) != value:
                os.environ[name] = value
        config.load_env(self.env_file, Path.cwd(), tell=False)
        os.environ.update(self.ours)
