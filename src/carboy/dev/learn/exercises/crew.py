"""Exercise: two requests that arrive at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from carboy.dev.learn.exchanges import Exchange, Seen, all_of
from carboy.dev.learn.exercise import (
    Answer,
    Code,
    Exercise,
    Goal,
    Question,
    Verdict,
    missing,
    reached,
)
from carboy.dev.learn.problems import attempt, other


def _pair(found: Sequence[Exchange]) -> tuple[Exchange, Exchange] | None:
    """Two slow requests, the second of which arrived before the first was answered."""
    slow = [each for each in found if _is_slow(each)]
    slow.sort(key=lambda each: each.began.at if each.began else 0.0)
    for one, two in pairwise(slow):
        if one.answered and two.began and two.began.at < one.answered.at:
            return one, two
    return None


def _is_slow(each: Exchange) -> bool:
    return each.head is not None and each.head.path == "/slow" and each.response.complete


def _both(seen: Sequence[Seen]) -> Verdict:
    found = all_of(seen)
    if pair := _pair(found):
        one, two = pair
        if one.began and one.answered and two.began and two.answered:
            start = one.began.at
            return reached(
                f"The second request arrived {1000 * (two.began.at - start):.0f} ms after the"
                f" first, on the thread {two.began.thread}. Its view ran on {two.answered.thread},"
                f" the first one on {one.answered.thread}. Both were answered after"
                f" {max(one.answered.at, two.answered.at) - start:.1f} s."
            )
    last, problem = attempt(found, "/slow")
    if last is not None and last.head is not None and not problem:
        if not last.response.complete:
            return missing("The view is still running.")
        return missing(
            "The requests came one after the other. Send the second while the first is running:"
            " the command twice, or the button of the page, sends it on two connections at once."
        )
    return other(last, problem, "")


def _reader(seen: Sequence[Seen]) -> Answer | None:
    pair = _pair(all_of(seen))
    if pair is None or pair[1].began is None:
        return None
    return pair[1].began.thread, "That thread was the leader at this moment."


def _view(seen: Sequence[Seen]) -> Answer | None:
    pair = _pair(all_of(seen))
    if pair is None or pair[1].answered is None:
        return None
    return pair[1].answered.thread, "While it waited, another thread read from all connections."


EXERCISE = Exercise(
    key="crew",
    title="What happens when two requests arrive at once",
    text=(
        "The view of /slow waits for 1.5 seconds. If one thread did everything, a second request"
        " would wait until the first is answered. With a thread for each connection, thousands of"
        " quiet connections would need thousands of threads.",
        "Carboy has a crew of threads, and one of them is the leader. The leader waits for bytes on"
        " all connections, reads requests, and runs quick views itself. If a view holds the leader"
        " for more than about two milliseconds, another thread becomes the leader and reads on. A"
        " view that is known to be slow runs on another thread from the start.",
    ),
    goals=(
        Goal(
            "Send two requests for /slow on two connections at the same time. In the terminal, type"
            " the request once; the command twice then sends it on two at once.",
            _both,
            "GET /slow HTTP/1.1\nHost: {host}\n\n",
            "twice",
        ),
    ),
    questions=(
        Question("Which thread read the second request?", _reader),
        Question("On which thread did the view of the second request run?", _view),
    ),
    code=(
        Code(
            "server/crew.py", "Crew.take_over", "successor = Lead()",
            "makes another thread the leader while a view is running.",
        ),
        Code(
            "server/dispatching.py", "Dispatcher.dispatch", "average > self._budget",
            "gives a view that is known to be slow to another thread.",
        ),
    ),
    tools=("curl http://{address}/slow & curl http://{address}/slow; wait",),
    learned="One thread reads for all connections. Slow views run on other threads.",
)  # fmt: skip
