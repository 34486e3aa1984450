"""Limits beyond which a worker is replaced by a new one: requests, time, memory."""

from __future__ import annotations

from carboy.server.dataclass import dataclass
from carboy.server.setting import WORKERS, check_values, setting
from carboy.sizes import size_of_text

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """When a supervisor replaces a worker that works. 0 or "": never.

    Raises ValueError, naming the field, for a value that cannot work.
    """

    max_requests: int = setting(
        0,
        "requests",
        "Number of requests after which a worker is replaced. 0: never.",
        WORKERS,
    )
    max_requests_jitter: int = setting(
        0,
        "requests",
        "Largest random number added to --max-requests, so that workers are not replaced in a row.",
        WORKERS,
    )
    max_lifetime: float = setting(
        0.0,
        "seconds",
        "Time after which a worker is replaced; up to a tenth is added at random. 0: never.",
        WORKERS,
    )
    max_memory: str = setting(
        "",
        "size|auto",
        "Resident memory above which a worker is replaced; auto: a share of the container's limit.",
        WORKERS,
        shown="no limit",
    )

    canary: float = setting(
        0.0,
        "seconds",
        "Time for which a single worker tries new code at a reload. If it has more errors than the"
        " others, the reload is rolled back. 0: all workers are"
        " replaced at once.",
        WORKERS,
    )

    def __post_init__(self) -> None:
        check_values(self)
        if self.max_memory != AUTO:
            self.memory_bytes()

    def memory_bytes(self) -> int:
        """The memory that a worker may use; 0 without a limit, and for "auto"."""
        if not self.max_memory or self.max_memory == AUTO:
            return 0
        try:
            size = size_of_text(str(self.max_memory))
        except ValueError as problem:
            raise ValueError(f"--max-memory: {problem} auto is possible as well.") from None
        if not size:
            raise ValueError("--max-memory must be more than 0 bytes.")
        return size

    def any(self) -> bool:
        """Whether there is a limit."""
        return bool(self.max_requests or self.max_lifetime or self.max_memory)

    def needs_supervisor(self) -> bool:
        """Whether a setting has an effect only below a supervisor."""
        return self.any() or bool(self.canary)

    def counts_requests(self) -> bool:
        """Whether the supervisor wants to know the number of requests of each worker."""
        return bool(self.max_requests or self.canary)
