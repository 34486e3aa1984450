"""The state folder when a program starts."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from carboy.acme.renewal import after_start
from carboy.acme.settings import AcmeSettings
from carboy.acme.store import StateError, Store
from carboy.acme.temporary import COMMON_NAME, first, issued


def prepare(settings: AcmeSettings) -> Store:
    """Make the folders, and a certificate to begin with if there is none.

    An attempt that is due later is made soon, because the user may have corrected what was wrong,
    unless another server uses this folder. Raises StateError.
    """
    name = settings.names[0]
    store = Store(settings.state)
    store.prepare(name)
    if first(store.certificate(name)) is None:
        store.save_certificate(name, _to_begin_with(store, settings.names))
    lock = store.lock(name)
    try:
        if lock.take():
            before = store.status(name)
            after = after_start(before, time.time())
            if after != before:
                store.save_status(name, after)
    except OSError as problem:
        raise StateError(
            f"{store.folder(name)} cannot be used: {problem.strerror}. Correct its permissions, or"
            " use another folder with --state."
        ) from None
    finally:
        lock.release()
    return store


def _to_begin_with(store: Store, names: tuple[str, ...]) -> bytes:
    """A certificate that was issued for these names in another order, or else a temporary one."""
    now = datetime.now(UTC)
    for each in store.names():
        found = issued(store.certificate(each))
        if found is not None and set(names) <= set(found.names) and found.ends > now:
            return store.certificate(each).read_bytes()
    from carboy.acme.challenges import self_signed

    return self_signed(list(names), COMMON_NAME)
