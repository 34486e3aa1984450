"""Debian's pebble, a certificate authority for tests, with a resolver that leads all names here."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import threading
import urllib.request
from pathlib import Path

from certificates import Authority
from chromium import program
from running import PATIENCE, die_with_parent, free_port

A, NOERROR, NXDOMAIN = 1, 0x8180, 0x8183  # RFC 1035, section 4.1


class Resolver:
    """Answers every question for an address with 127.0.0.1, except for names in `missing`."""

    def __init__(self) -> None:
        self.missing: set[str] = set()
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:{1}".format(*self._sock.getsockname())
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            question, client = self._sock.recvfrom(4096)
            if not question:
                return
            self._sock.sendto(self._answer(question), client)

    def _answer(self, question: bytes) -> bytes:
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]].decode().lower())
            at += 1 + question[at]
        asked = question[12 : at + 5]
        missing = ".".join(labels) in self.missing
        found = not missing and question[at + 1 : at + 3] == A.to_bytes(2, "big")
        head = question[:2] + (NXDOMAIN if missing else NOERROR).to_bytes(2, "big")
        head += bytes([0, 1, 0, int(found), 0, 0, 0, 0])
        address = b"\xc0\x0c" + bytes([0, A, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1])
        return head + asked + (address if found else b"")

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", self._sock.getsockname())
        self._thread.join(PATIENCE)
        self._sock.close()


class Pebble:
    """A running authority: where its directory is, and the ports at which it checks names."""

    def __init__(self, folder: Path) -> None:
        self.resolver = Resolver()
        self.http_port, self.tls_port, port, management = (free_port() for _ in range(4))
        authority = Authority()
        certificate, key = authority.sign("127.0.0.1").write(folder, "pebble")
        self.ca = folder / "pebble-root.pem"
        self.ca.write_text(authority.pem)
        self.directory = f"https://127.0.0.1:{port}/dir"
        self._management = f"https://127.0.0.1:{management}"
        config = {
            "listenAddress": f"127.0.0.1:{port}",
            "managementListenAddress": f"127.0.0.1:{management}",
            "certificate": certificate,
            "privateKey": key,
            "httpPort": self.http_port,
            "tlsPort": self.tls_port,
        }
        file = folder / "pebble.json"
        file.write_text(json.dumps({"pebble": config}))
        # Three of ten nonces are refused, and no name stays confirmed for the next order.
        env = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "30", "PEBBLE_AUTHZREUSE": "0"}
        self._process = subprocess.Popen(
            [program("pebble"), "-config", str(file), "-dnsserver", self.resolver.address],
            env=os.environ | env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - only a system call
        )  # fmt: skip
        self.log: list[str] = []
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        assert self._ready.wait(PATIENCE) and self._process.poll() is None, "".join(self.log)
        self.root = self._read_root()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.log.append(line)
            if re.search("ACME directory available", line):
                self._ready.set()
        self._ready.set()

    def _read_root(self) -> str:
        """The root of the certificates that it issues."""
        context = ssl.create_default_context(cafile=str(self.ca))
        while True:
            try:
                url = f"{self._management}/roots/0"
                with urllib.request.urlopen(url, context=context, timeout=PATIENCE) as reply:
                    return str(reply.read().decode())
            except ConnectionRefusedError:
                assert self._process.poll() is None
            except urllib.error.URLError as problem:
                assert isinstance(problem.reason, ConnectionRefusedError)

    def close(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self.resolver.close()
