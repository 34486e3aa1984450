"""GET /livez and /readyz, for load balancers and Kubernetes.

/livez    200 while the server can still serve, or is starting: it need not be killed
/readyz   200 while it takes requests: a worker serves, and its checks pass
"""

from __future__ import annotations

from carboy.server.admin.call import TEXT, Answer, Ask, Call, Reply, Steps
from carboy.server.admin.operations import Operations

SECONDS = 2.0  # for the workers, which answer from their last results


def livez(call: Call, operations: Operations) -> Reply:
    """Whether the server is alive; the supervisor replaces workers that are stuck."""
    return _reply(call, [])


def readyz(call: Call, operations: Operations) -> Steps:
    """Whether the server takes requests. Each worker that answers has to be ready."""
    about = operations.about()
    if about.stopping or about.draining:
        return _reply(call, ["the server is about to stop"])
    serving = tuple(each.pid for each in operations.workers() if each.state == "serving")
    if not serving:
        why = "no worker serves" if about.ever_ready else "the application is not loaded yet"
        return _reply(call, [why])
    answers = yield Ask("ready", workers=serving, seconds=SECONDS)
    # A worker that does not answer is stuck. Others take the connections, and it is replaced.
    answered = [each for each in answers.values() if not each.failure]
    if not answered:
        return _reply(call, ["no worker answers"])
    return _reply(call, [reason for each in answered for reason in _reasons(each)])


def _reasons(answer: Answer) -> list[str]:
    return [f"worker {answer.worker}: {reason}" for reason in answer.value]


def _reply(call: Call, reasons: list[str]) -> Reply:
    status = 503 if reasons else 200
    if "json" in call.accept:
        return Reply({"ok": not reasons, "reasons": reasons}, status)
    text = "".join(f"{each}\n" for each in reasons or ["ok"])
    return Reply(status=status, content=text.encode(), media_type=TEXT)
