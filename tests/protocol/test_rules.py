"""Every rule of the wire on the machine alone, whole, byte by byte and split everywhere."""

from __future__ import annotations

import pytest

from protocol.feeding import body, heads, outcome, refusal
from protocol.rules import ACCEPTED, REFUSED, Accepted, Refused


@pytest.mark.parametrize("rule", REFUSED, ids=lambda rule: rule.sentence)
def test_the_machine_refuses_when(rule: Refused) -> None:
    status, message = refusal(rule.data)
    assert status == rule.status, message
    assert message.isprintable()


@pytest.mark.parametrize("rule", ACCEPTED, ids=lambda rule: rule.sentence)
def test_the_machine_accepts_when(rule: Accepted) -> None:
    result = outcome(rule.data)
    assert len(heads(result)) == 1
    assert body(result) == rule.body
    assert result[-1][0] in ("answer", "closed")


def test_no_two_rules_have_one_name() -> None:
    sentences = [rule.sentence for rule in REFUSED] + [rule.sentence for rule in ACCEPTED]
    assert len(set(sentences)) == len(sentences)
