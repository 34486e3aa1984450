"""Running an application's commands in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from click.testing import CliRunner, Result

from carboy.app.commands import ScriptInfo

if TYPE_CHECKING:
    from carboy.app.app import Carboy


class FlaskCliRunner(CliRunner):
    """click's runner, with the application found already: `app.test_cli_runner()`."""

    def __init__(self, app: Carboy, **kwargs: Any) -> None:
        self.app = app
        super().__init__(**kwargs)

    def invoke(self, cli: Any = None, args: Any = None, **kwargs: Any) -> Result:  # type: ignore[override]
        """Run a command, `app.cli` if none is given."""
        if cli is None:
            cli = self.app.cli
        if "obj" not in kwargs:
            app = self.app
            kwargs["obj"] = ScriptInfo(create_app=lambda: app)
        return super().invoke(cli, args, **kwargs)
