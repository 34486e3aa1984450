"""The settings of the admin server."""

from __future__ import annotations

from carboy.server.admin.place import NONE, Place, read_place
from carboy.server.dataclass import dataclass
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

    livez: str = setting(
        "",
        "path",
        "Path at which the server itself says that it is alive, such as /livez.",
        ADMIN,
        shown="none",
    )
    readyz: str = setting(
        "",
        "path",
        "Path at which the server itself says whether it is ready for requests, such as /readyz.",
        ADMIN,
        shown="none",
    )
    drain_delay: float = setting(
        0.0,
        "seconds",
        "Time between SIGTERM and the stop. Meanwhile the server serves and says that it is not"
        " ready.",
        ADMIN,
    )

    crash_reports: int = setting(
        20,
        "reports",
        "Maximum number of reports of workers that have crashed, in --state. 0: none.",
        ADMIN,
    )

    def __post_init__(self) -> None:
        check_values(self)
        self.places()
        for name in ("livez", "readyz"):
            path = getattr(self, name)
            if path and (not path.startswith("/") or not path.isascii() or not path.isprintable()):
                raise ValueError(f"--{name} {path!r} is not a path. Use one such as /{name}.")
        if self.livez and self.livez == self.readyz:
            raise ValueError("--livez and --readyz must be different paths.")

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
