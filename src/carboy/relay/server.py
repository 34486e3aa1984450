"""The sockets of a relay: a unix socket that workers and scripts of the same user connect to.

It runs in the supervisor, whose loop calls `turn` when `fileno` is ready, or on a thread of a
process that serves alone. Only one thread calls it, and no call blocks:

    slow worker   Bytes that its socket does not take are kept. Above `buffer` bytes, the worker is
                  disconnected, and counted. It connects again, and gets from the history what it
                  has missed.
    busy worker   At most READ bytes of a peer are read in a turn.
    dead worker   Its connection ends, so its attachments and its presence end too.

A message is encoded once, for all workers and for the history. All subscribers get the messages in
the order of `Board.publish`, because this thread writes them to all sockets in that order.
"""

from __future__ import annotations

import errno
import json
import logging
import selectors
import socket
import time
from collections import deque
from typing import Any

from carboy.relay.board import Board, Kept, Rule
from carboy.relay.frames import Fields, FrameReader, frame, too_long
from carboy.relay.socket_file import SocketFile

log = logging.getLogger("carboy.error")

READ = 256 * 1024  # bytes of one peer in one turn
LOG_INTERVAL = 10.0  # seconds between two warnings of slow workers
JOIN, LEAVE = "join", "leave"  # events of channels with presence


class _Peer:
    """One connection: of a worker that subscribes, or of a process that publishes."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.reader = FrameReader()
        self.unsent: deque[memoryview] = deque()
        self.unsent_bytes = 0
        self.replayed = 0  # bytes of replays among those that it did not take at once
        self.attached: set[str] = set()
        self.open = True
        self.watched = selectors.EVENT_READ


class RelayServer:
    """Accepts peers at `listener`, and carries their messages."""

    def __init__(self, listener: socket.socket, board: Board, buffer: int, largest: int) -> None:
        self.board = board
        self.slow = 0  # workers that were disconnected because they were slow
        self._listener = listener
        self._buffer = buffer
        self._largest = largest
        self._peers: dict[int, _Peer] = {}
        self._attached: dict[str, dict[_Peer, None]] = {}
        self._last_warning = float("-inf")
        self._slow_before = 0
        loss = "New workers and scripts have no channels."
        self.file = SocketFile(listener, self._listen, "socket of channels", loss)
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        listener.setblocking(False)

    def figures(self) -> dict[str, int]:
        """The figures of the relay by their names in the metrics; from any thread."""
        unsent = sum(peer.unsent_bytes for peer in list(self._peers.values()))
        return {
            "messages": self.board.order,
            "messages_discarded": self.board.discarded,
            "history_bytes": self.board.size,
            "unsent_bytes": unsent,
            "connections": len(self._peers),
            "workers_slow": self.slow,
        }

    def fileno(self) -> int:
        """A descriptor that is readable when `turn` has something to do."""
        return self._selector.fileno()

    def _listen(self, listener: socket.socket) -> None:
        """Accept peers at another socket from now on."""
        self._selector.unregister(self._listener)
        self._listener.close()
        listener.setblocking(False)
        self._listener = listener
        self._selector.register(listener, selectors.EVENT_READ)

    def turn(self, timeout: float | None = 0.0) -> None:
        """Serve what is ready. Never raises because of a peer."""
        for key, flags in self._selector.select(timeout):
            if key.fileobj is self._listener:
                self._accept()
                continue
            peer: _Peer = key.data
            if flags & selectors.EVENT_WRITE and peer.open:
                self._flush(peer)
            if flags & selectors.EVENT_READ and peer.open:
                self._read(peer)
        self._warn()

    def close(self, forked: bool = False) -> None:
        """Close all sockets; `forked`: those of a child process, which share them."""
        for peer in list(self._peers.values()):
            peer.open = False
            peer.sock.close()
        self._peers.clear()
        self._selector.close()
        self._listener.close()

    # --- peers

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as problem:
                if problem.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._log("The relay of channels cannot accept a connection: %s.", problem)
                return
            sock.setblocking(False)
            peer = _Peer(sock)
            self._peers[sock.fileno()] = peer
            self._selector.register(sock, selectors.EVENT_READ, peer)

    def _read(self, peer: _Peer) -> None:
        try:
            received = peer.sock.recv(READ)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received:
            self._drop(peer)
            return
        try:
            for fields, data in peer.reader.feed(received):
                if peer.open:
                    self._take(peer, fields, data)
        except Exception as problem:  # the supervisor must not end because of a peer
            self._log("A connection to the relay of channels sent nonsense: %s.", problem)
            self._drop(peer)

    def _drop(self, peer: _Peer) -> None:
        if not peer.open:
            return
        peer.open = False
        self._selector.unregister(peer.sock)
        del self._peers[peer.sock.fileno()]
        peer.sock.close()
        for channel in peer.attached:
            self._unsubscribe(peer, channel)
        for channel, name in list(self.board.drop(peer)):
            self._announce(channel, name, LEAVE)

    def _unsubscribe(self, peer: _Peer, channel: str) -> None:
        subscribed = self._attached[channel]
        del subscribed[peer]
        if not subscribed:
            del self._attached[channel]

    # --- sending

    def _send(self, peer: _Peer, data: bytes) -> None:
        """Send, and keep what the socket does not take."""
        sent = 0
        if not peer.unsent:
            try:
                sent = peer.sock.send(data)
            except BlockingIOError:
                pass
            except OSError:
                return  # the end of the connection is noticed by `_read`
            if sent == len(data):
                return
        peer.unsent.append(memoryview(data)[sent:])
        peer.unsent_bytes += len(data) - sent
        self._watch(peer, selectors.EVENT_READ | selectors.EVENT_WRITE)

    def _flush(self, peer: _Peer) -> None:
        try:
            while peer.unsent:
                sent = peer.sock.send(peer.unsent[0])
                peer.unsent_bytes -= sent
                if sent < len(peer.unsent[0]):
                    peer.unsent[0] = peer.unsent[0][sent:]
                    return
                peer.unsent.popleft()
            peer.replayed = 0
        except BlockingIOError:
            return
        except OSError:
            peer.unsent.clear()
            peer.unsent_bytes = 0
        self._watch(peer, selectors.EVENT_READ)

    def _watch(self, peer: _Peer, flags: int) -> None:
        if peer.watched != flags:
            peer.watched = flags
            self._selector.modify(peer.sock, flags, peer)

    def _deliver(self, message: Kept) -> None:
        for peer in list(self._attached.get(message.channel, ())):
            # A replay may be longer than the buffer. The worker would never get it whole if the
            # next message ended its connection.
            if peer.unsent_bytes - peer.replayed > self._buffer:
                self.slow += 1
                self._drop(peer)
            elif peer.open:
                self._send(peer, message.frame)

    # --- requests of peers

    def _take(self, peer: _Peer, fields: Fields, data: bytes) -> None:
        getattr(self, f"_do_{fields['do']}")(peer, fields, data)

    def _do_publish(self, peer: _Peer, fields: Fields, data: bytes) -> None:
        channel = fields["channel"]
        if len(data) > self._largest:
            self._send(peer, frame({"error": too_long(len(data), channel, self._largest)}))
            return
        message = self._publish(
            channel, data, fields.get("event"), fields.get("id", ""), bool(fields.get("binary"))
        )
        # First the answer: in its own process, the publisher may have to send the message itself.
        self._send(peer, frame({"id": message.id, "order": message.order}))
        self._deliver(message)

    def _publish(
        self, channel: str, data: bytes, event: str | None, id: str = "", binary: bool = False
    ) -> Kept:
        return self.board.publish(channel, data, event, id, binary, time.monotonic())

    def _attach(self, peer: _Peer, channel: str) -> None:
        peer.attached.add(channel)
        self._attached.setdefault(channel, {})[peer] = None

    def _do_attach(self, peer: _Peer, fields: Fields, data: bytes) -> None:
        self._attach(peer, fields["channel"])
        self._replay(peer, [fields["channel"]], fields.get("after"), fields["key"])

    def _do_resume(self, peer: _Peer, fields: Fields, data: bytes) -> None:
        for channel in fields["channels"]:
            self._attach(peer, channel)
        self._replay(peer, fields["channels"], fields.get("after"), fields["key"])

    def _do_detach(self, peer: _Peer, fields: Fields, data: bytes) -> None:
        channel = fields["channel"]
        if channel in peer.attached:
            peer.attached.remove(channel)
            self._unsubscribe(peer, channel)

    def _do_history(self, peer: _Peer, fields: Fields, data: bytes) -> None:
        self._replay(peer, [fields["channel"]], fields.get("after"), 0, whole=True)

    def _replay(
        self, peer: _Peer, channels: list[str], after: str | None, key: int, whole: bool = False
    ) -> None:
        """Send the messages of all of these channels after an id, in their order."""
        now = time.monotonic()
        found = {name: self.board.replay(name, after, now, whole) for name in channels}
        messages = [each for replayed in found.values() for each in replayed.messages]
        messages.sort(key=lambda each: each.order)
        answer: dict[str, Any] = {
            "replay": key, "count": len(messages), "order": self.board.order,
            "epoch": self.board.epoch,
            "incomplete": [name for name, replayed in found.items() if not replayed.complete],
        }  # fmt: skip
        data = b"".join((frame(answer), *(each.frame for each in messages)))
        self._send(peer, data)
        if peer.unsent:
            peer.replayed += len(data)

    def _do_rules(self, peer: _Peer, fields: Fields, data: bytes) -> None:
        self.board.set_rules(Rule(*each) for each in fields["rules"])

    def _do_join(self, peer: _Peer, fields: Fields, data: bytes) -> None:
        channel, name = fields["channel"], fields.get("name")
        if self.board.join(peer, channel, name, fields["count"]):
            self._announce(channel, name, JOIN)

    def _do_leave(self, peer: _Peer, fields: Fields, data: bytes) -> None:
        channel, name = fields["channel"], fields.get("name")
        if self.board.leave(peer, channel, name):
            self._announce(channel, name, LEAVE)

    def _announce(self, channel: str, name: str | None, event: str) -> None:
        if self.board.rule(channel).presence:
            self._deliver(self._publish(channel, json.dumps({"name": name}).encode(), event))

    def _do_subscribers(self, peer: _Peer, fields: Fields, data: bytes) -> None:
        count, names = self.board.subscribers(fields["channel"])
        self._send(peer, frame({"count": count, "names": names}))

    # --- the log

    def _warn(self) -> None:
        if self.slow > self._slow_before:
            now = time.monotonic()
            if now - self._last_warning >= LOG_INTERVAL:
                log.warning(
                    "%d connections of workers to the relay of channels were closed because the"
                    " workers did not read. They connect again and continue from the history.",
                    self.slow - self._slow_before,
                )
                self._last_warning, self._slow_before = now, self.slow

    def _log(self, text: str, *values: object) -> None:
        now = time.monotonic()
        if now - self._last_warning >= LOG_INTERVAL:
            self._last_warning = now
            log.warning(text, *values)
