"""The loop of the admin server: a supervisor's loop calls `turn`, or a thread of its own does.

It never blocks and never raises because of a peer: a supervisor has no other thread, and must be
able to fork at any time.

    slow peer       Each phase of a connection has a time limit (peer.py).
    many peers      Above PEERS connections, the one that has been idle for longest is closed.
    large requests  The limits of the HTTP machine are small here: 64 KiB of content.
    slow worker     Each question has a time limit (questions.py).

Only one thread calls it, except for `post`.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from carboy.net.poller import READ, WRITE, make_poller
from carboy.net.waker import Waker
from carboy.protocol.events import RequestHead
from carboy.server.admin.call import Answers, Ask, Refused, Reply, Steps, read_call
from carboy.server.admin.listening import AdminSocket
from carboy.server.admin.operations import Operations
from carboy.server.admin.paths import Access, Path, Paths
from carboy.server.admin.peer import GONE, Peer, Phase
from carboy.server.admin.questions import NEVER, Questions
from carboy.server.processes.messages import Message

log = logging.getLogger("carboy.error")

PEERS = 64
ACCEPTS = 16  # connections that are accepted in one turn
LOOPBACK_NAMES = ("localhost", "")


class AdminServer:
    """Answers requests at `sockets` with the handlers of `paths`."""

    def __init__(
        self, sockets: Sequence[AdminSocket], paths: Paths, operations: Operations
    ) -> None:
        self.sockets = sockets
        self.operations = operations
        self.questions = Questions(operations)
        self._paths = paths
        self._peers: dict[int, Peer] = {}
        self._watched: dict[int, int] = {}
        self._poller = make_poller()
        self._waker = Waker()
        self._posted: deque[tuple[int, Message]] = deque()
        self._accept_again = 0.0
        self._listeners: dict[int, AdminSocket] = {}
        self._poller.add(self._waker.fileno(), READ)
        for each in sockets:
            each.moved = self._listen
            self._listen(each)

    def fileno(self) -> int:
        """A descriptor that is readable when `turn` has something to do."""
        return self._poller.fileno()

    def _listen(self, each: AdminSocket) -> None:
        for fd in [fd for fd, known in self._listeners.items() if known is each]:
            self._poller.remove(fd)
            del self._listeners[fd]
        self._listeners[each.fileno()] = each
        self._poller.add(each.fileno(), READ)

    def post(self, worker: int, message: Message) -> None:
        """Take the answer of a worker, from any thread."""
        self._posted.append((worker, message))
        self._waker.wake()

    def wake(self) -> None:
        """End the wait of `turn`, from any thread."""
        self._waker.wake()

    def turn(self, timeout: float = 0.0) -> None:
        """Serve what is ready within `timeout` seconds. Never raises because of a peer."""
        events = self._poller.wait(timeout)
        now = time.monotonic()
        for fd, flags in events:
            if fd in self._listeners:
                self._accept(self._listeners[fd], now)
            elif peer := self._peers.get(fd):
                self._serve(peer, flags, now)
        self._waker.clear()
        while self._posted:
            self.questions.answered(*self._posted.popleft())

    def look(self, now: float) -> float:
        """Cut the peers that are late, and end questions; returns when to look next."""
        due = self.questions.look(now)
        for peer in list(self._peers.values()):
            if peer.phase is not Phase.ANSWERING:
                if now >= peer.due:
                    self._close(peer)
                else:
                    due = min(due, peer.due)
        if self._accept_again and now >= self._accept_again:
            self._accept_again = 0.0
            for fd in self._listeners:
                self._poller.change(fd, READ)
        for each in self.sockets:
            due = min(due, each.look(now))
        return min(due, self._accept_again or NEVER)

    def close(self) -> None:
        """Close all sockets."""
        for peer in list(self._peers.values()):
            peer.close()
        self._peers.clear()
        self._poller.close()
        self._waker.close()
        for each in self.sockets:
            each.close()

    # --- peers

    def _accept(self, listener: AdminSocket, now: float) -> None:
        for _ in range(ACCEPTS):
            try:
                sock, address = listener.accept()
            except BlockingIOError:
                return
            except OSError as problem:
                self._cannot_accept(problem, now)
                return
            sock.setblocking(False)
            loopback = isinstance(address, tuple) and ip_address(address[0]).is_loopback
            peer = Peer(sock, not isinstance(address, tuple), loopback, now)
            self._peers[sock.fileno()] = peer
            self._watched[sock.fileno()] = READ
            self._poller.add(sock.fileno(), READ)
            if len(self._peers) > PEERS:
                self._close(min(self._peers.values(), key=_patience))

    def _cannot_accept(self, problem: OSError, now: float) -> None:
        """No descriptor is left: the listeners would be ready again and again."""
        log.warning("The admin server cannot accept a connection: %s.", problem.strerror)
        self._accept_again = now + 1.0
        for fd in self._listeners:
            self._poller.change(fd, 0)

    def _serve(self, peer: Peer, flags: int, now: float) -> None:
        try:
            if flags & GONE and not flags & READ:
                self._close(peer)
                return
            if flags & WRITE and peer.phase is Phase.SENDING:
                peer.flush(now)
                complete = peer.next(now)
            else:
                complete = peer.phase is Phase.READING and peer.receive(now)
            while complete:
                self._begin(peer, now)
                complete = peer.next(now)
        except Exception:  # the supervisor must not end because of a peer
            log.exception("A bug in Carboy: a request to the admin server has failed.")
            peer.close()
        self._watch(peer)

    def _watch(self, peer: Peer) -> None:
        if peer.phase is Phase.CLOSED:
            self._close(peer)
            return
        fd, interest = peer.sock.fileno(), peer.interest
        if self._watched[fd] != interest:
            self._watched[fd] = interest
            self._poller.change(fd, interest)

    def _close(self, peer: Peer) -> None:
        for fd, known in list(self._peers.items()):
            if known is peer:
                self._poller.remove(fd)
                del self._peers[fd], self._watched[fd]
        if peer.phase is Phase.ANSWERING:
            self.questions.forget(peer.question)
        peer.close()

    # --- requests

    def _begin(self, peer: Peer, now: float) -> None:
        """Answer a request, or begin to."""
        head = peer.head
        assert head is not None
        try:
            found = self._paths.find(head.method, head.path)
            self._check_access(peer, head, found)
            accept = next((v for name, v in head.fields() if name.lower() == "accept"), "")
            call = read_call(head.method, head.path, head.query, bytes(peer.body), accept)
            answer = found.handler(call, self.operations)
        except Refused as problem:
            peer.answer(_refusal(problem), now)
            return
        except Exception:
            peer.answer(_failed(), now)
            return
        if isinstance(answer, Reply):
            peer.answer(answer, now)
        else:
            peer.steps, peer.phase = answer, Phase.ANSWERING
            self._go_on(peer, lambda: next(answer))

    def _go_on(self, peer: Peer, step: Callable[[], Ask]) -> None:
        """Run a handler to its next question, or to its end."""
        now = time.monotonic()
        try:
            ask = step()
        except StopIteration as end:
            peer.answer(end.value, now)
        except Refused as problem:
            peer.answer(_refusal(problem), now)
        except Exception:
            peer.answer(_failed(), now)
        else:
            peer.question = self.questions.ask(ask, lambda found: self._answered(peer, found), now)

    def _answered(self, peer: Peer, answers: Answers) -> None:
        steps: Steps | None = peer.steps
        if steps is None:
            return
        self._go_on(peer, lambda: steps.send(answers))
        if peer.phase is not Phase.ANSWERING:
            now = time.monotonic()
            while peer.next(now):
                self._begin(peer, now)
            self._watch(peer)

    def _check_access(self, peer: Peer, head: RequestHead, found: Path) -> None:
        """Raise Refused for a peer that may not use the path."""
        if peer.local or found.access is Access.OPEN:
            return
        given = next((v for name, v in head.fields() if name.lower() == "authorization"), "")
        # Each address has a token of its own, unless the environment has one for all.
        if any(each.token is not None and each.token.matches(given) for each in self.sockets):
            return
        if found.access is Access.LOOPBACK and peer.loopback:
            # A page in the browser of this machine may reach this port by a name of its own.
            if not _names_loopback(head.host):
                raise Refused(421, "Without a token, use 127.0.0.1 or localhost as the host.")
            return
        raise Refused(
            401, "This requires the token of the server. Send Authorization: Bearer TOKEN."
        )


def _patience(peer: Peer) -> tuple[bool, float]:
    """Peers with the smallest value are closed first: those that wait for nothing."""
    return peer.phase is Phase.ANSWERING, peer.due


def _failed() -> Reply:
    """The reply after an exception, which is logged."""
    log.exception("A bug in Carboy: a request to the admin server has failed.")
    return Reply({"error": "The request has failed. The log of the server says why."}, 500)


def _refusal(problem: Refused) -> Reply:
    return Reply({"error": str(problem)}, problem.status)


def _names_loopback(host: str) -> bool:
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name.lower() in LOOPBACK_NAMES
