"""Runs an application's commands in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from click.testing import CliRunner, Result

from carboy.app.commands import ScriptInfo

if TYPE_CHECKING:
    from carboy.app.app import Carboy


class FlaskCliRunner(CliRunner):
    """click's runner for one application; `app.test_cli_runner()` returns it."""

    def __init__(self, app: Carboy, **kwargs: Any) -> None:
        self.app = app
        super().__init__(**kwargs)

    def invoke(self, cli: Any = None, args: Any = None, **kwargs: Any) -> Result:  # type: ignore[override]
        """Run a command; by default `app.cli`."""
        if cli is None:
            cli = self.app.cli
        if "obj" not in kwargs:
            app = self.app
            kwargs["obj"] = ScriptInfo(create_app=lambda: app)
        return super().invoke(cli, args, **kwargs)
