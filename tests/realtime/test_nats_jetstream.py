"""Whether a NATS server keeps messages, as it answers, or does not answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

nats = pytest.importorskip("nats")

from carboy.realtime.engines.nats_client import (  # noqa: E402
    TEMPORARILY_UNAVAILABLE,
    _has_jetstream,
)


class Connection:
    """A connection whose server answers the question for JetStream with an error, or not."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def jetstream(self, timeout: float) -> Any:
        return self

    async def account_info(self) -> None:
        if self.error is not None:
            raise self.error


def asked(error: Exception | None, before: bool) -> bool:
    return asyncio.run(_has_jetstream(Connection(error), before))


@pytest.mark.parametrize("before", [True, False])
def test_the_server_says_whether_it_has_jetstream(before: bool) -> None:
    assert asked(None, before)
    assert not asked(nats.js.errors.ServiceUnavailableError(), before)
    assert not asked(nats.js.errors.ServiceUnavailableError(code=503, err_code=10039), before)


@pytest.mark.parametrize("before", [True, False])
def test_a_server_that_is_about_to_have_jetstream_is_asked_again(before: bool) -> None:
    soon = nats.js.errors.ServiceUnavailableError(code=503, err_code=TEMPORARILY_UNAVAILABLE)
    with pytest.raises(nats.errors.Error):
        asked(soon, before)


def test_no_answer_means_none_only_if_there_was_none_before() -> None:
    assert not asked(nats.errors.TimeoutError(), before=False)
    with pytest.raises(nats.errors.TimeoutError):
        asked(nats.errors.TimeoutError(), before=True)
