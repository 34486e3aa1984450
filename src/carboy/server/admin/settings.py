"""The settings of the admin server."""

from __future__ import annotations

from dataclasses import dataclass

from carboy.server.admin.place import NONE, Place, read_place
from carboy.server.setting import ADMIN, check_values, setting


@dataclass(frozen=True, slots=True)
class AdminSettings:
    """Where a running server is asked and told things. Raises ValueError, naming the option."""

    admin: tuple[str, ...] = setting(
        (),
        "PLACE",
        "Unix socket (a path) or HOST:PORT for `carboy status` and the other commands to a running"
        " server; none: no such commands. May be given more than once.",
        ADMIN,
        shown="a unix socket in a folder of the user",
    )

    def __post_init__(self) -> None:
        check_values(self)
        self.places()

    @property
    def wanted(self) -> bool:
        """Whether there is an admin server."""
        return NONE not in self.admin

    def places(self) -> list[Place]:
        """The places that were asked for."""
        if NONE in self.admin and len(self.admin) > 1:
            raise ValueError("--admin none cannot be combined with another --admin.")
        try:
            return [read_place(each) for each in self.admin if each != NONE]
        except ValueError as problem:
            raise ValueError(f"--admin: {problem}") from None
