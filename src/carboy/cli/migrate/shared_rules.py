"""Rules that the tables of several servers have in common."""

from __future__ import annotations

from typing import Any

from carboy.cli.migrate.rules import none, unneeded

DEVELOP = none("Use `carboy dev`, which reloads when files change.")
LOGGING = none("Configure logging in the application; the error log is the logger carboy.error.")
LEVEL = none("Set the level of the logger carboy.error in the application.")
KEY_PASSWORD = none(
    "Write the password to a file for --key-password-file, or set CARBOY_KEY_PASSWORD."
)
PROCESS_NAME = none("The name of the process stays carboy.")
LIFESPAN = unneeded("The lifespan runs if the application has one.")
PARSER = unneeded("There is one parser of HTTP.")
TLS_VERSIONS = unneeded("TLS 1.2 and 1.3 are spoken; --tls-min 1.3 leaves out 1.2.")
FRAME_SIZE = unneeded("Frames have up to 16 KiB, the size that every client has to accept.")
FACTORY = unneeded("A factory is called if the name is that of a function without parameters.")
WEBSOCKETS = unneeded("WebSockets work with the extra carboy[websocket].")


def loop(value: Any) -> Any:
    """The value of --loop. Raises ValueError for another loop."""
    if value in ("auto", "asyncio", "uvloop"):
        return value
    raise ValueError(f"{value} is not a loop of Carboy. Use asyncio or uvloop.")


def unix(value: Any) -> list[str]:
    """The value of --bind for the path of a unix socket."""
    return [f"unix:{value}"]
