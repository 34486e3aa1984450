"""Settings of the server's process: its user, and the files that it makes for itself."""

from __future__ import annotations

from carboy.server.dataclass import dataclass
from carboy.server.setting import PROCESS, check_values, setting


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """The user and the files of the process (docs/serving.md). "": none."""

    user: str = setting(
        "",
        "user",
        "User that the server becomes when it listens, by name or number. Needs root.",
        PROCESS,
        shown="the user who starts it",
    )
    group: str = setting(
        "",
        "group",
        "Group of the server once it listens, by name or number.",
        PROCESS,
        shown="that of the user",
    )
    pid_file: str = setting(
        "",
        "file",
        "File with the process id of the server, removed at its end.",
        PROCESS,
        shown="none",
    )
    worker_tmp_dir: str = setting(
        "",
        "dir",
        "Folder for temporary files, such as large request bodies.",
        PROCESS,
        shown="that of the system",
    )

    def __post_init__(self) -> None:
        check_values(self)
