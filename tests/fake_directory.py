"""A certificate authority in the test's process, which a test can make refuse, wait or forget.

It checks the signature, the nonce and the URL of every request, and does not check names.
"""

from __future__ import annotations

import base64
import datetime
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from certificates import Authority

ERROR = "urn:ietf:params:acme:error:"
Problem = tuple[int, dict[str, Any], dict[str, str]]


def problem(
    kind: str, detail: str, status: int = 400, retry_after: str = "", **more: Any
) -> Problem:
    headers = {"Retry-After": retry_after} if retry_after else {}
    return status, {"type": ERROR + kind, "detail": detail, **more}, headers


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class FakeDirectory:
    """`refuse` has answers for the next requests of a resource; the other fields are its rules."""

    def __init__(self) -> None:
        self.authority = Authority("Fake authority")
        self.refuse: dict[str, list[Problem]] = {}
        self.meta: dict[str, Any] = {"termsOfService": "https://terms.example/"}
        self.window: dict[str, Any] | None = None  # renewal information
        self.failing: dict[str, dict[str, Any]] = {}  # kind of challenge: the problem
        self.days = 90.0
        self.polls = 0  # questions after which an order or a name is decided
        self.retry_after = "0"
        self.expires = "2999-01-01T00:00:00Z"
        self.held = threading.Event()  # names are confirmed only while it is set
        self.held.set()
        self.asked = threading.Event()  # a name is being checked
        self.other_key = False
        self.token: str | None = None  # of all challenges
        self.name: str | None = None  # of all names
        self.seen: list[tuple[str, Any]] = []  # resource and payload of each request
        self.accounts: dict[str, Any] = {}  # URL: JWK
        self.orders: dict[str, dict[str, Any]] = {}
        self._names: dict[str, dict[str, Any]] = {}
        self._chains: dict[str, bytes] = {}
        self._nonces: set[str] = set()
        self._polled: Counter[str] = Counter()
        self._count = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._handle(self, None)

            do_HEAD = do_GET

            def do_POST(self) -> None:
                outer._handle(self, self.rfile.read(int(self.headers["Content-Length"])))

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.directory = f"{self.base}/directory"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def count(self, resource: str) -> int:
        return sum(1 for name, _ in self.seen if name == resource)

    # --- requests

    def _handle(self, handler: BaseHTTPRequestHandler, body: bytes | None) -> None:
        with self._lock:
            status, content, headers = self._reply(handler.path, body)
            nonce = self._id()
            self._nonces.add(nonce)
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        handler.send_response(status)
        for name, value in {"Replay-Nonce": nonce, **headers}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(data)

    def _id(self) -> str:
        self._count += 1
        return f"n{self._count}"

    def _reply(self, path: str, body: bytes | None) -> tuple[int, Any, dict[str, str]]:
        resource, _, key = path.strip("/").partition("/")
        payload = None
        url = self.base + path
        who: dict[str, Any] = {}
        if body is not None:
            document = json.loads(body)
            who = json.loads(unb64(document["protected"]))
            assert who["url"] == url
            if who["nonce"] not in self._nonces:
                return problem("badNonce", "This nonce is not known.")
            self._nonces.discard(who["nonce"])
            if "kid" in who and who["kid"] not in self.accounts:
                return problem("accountDoesNotExist", "No such account.")
            self._verify(document, who["jwk"] if "jwk" in who else self.accounts[who["kid"]])
            payload = json.loads(unb64(document["payload"]) or b"null")
        self.seen.append((resource, payload))
        if self.refuse.get(resource):
            return self.refuse[resource].pop(0)
        answer: tuple[int, Any, dict[str, str]] = getattr(self, f"_{resource}")(key, payload, who)
        return answer

    def _verify(self, document: dict[str, str], jwk: dict[str, str]) -> None:
        x, y = (int.from_bytes(unb64(jwk[each])) for each in "xy")
        key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        raw = unb64(document["signature"])
        signature = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
        signed = f"{document['protected']}.{document['payload']}".encode()
        key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))

    # --- resources

    def _directory(self, key: str, payload: Any, who: Any) -> Any:
        found = {name: f"{self.base}/{name}" for name in ("newNonce", "newAccount", "newOrder")}
        if self.window is not None:
            found["renewalInfo"] = f"{self.base}/renewalInfo"
        return 200, {**found, "meta": self.meta}, {}

    def _newNonce(self, key: str, payload: Any, who: Any) -> Any:
        return 200, b"", {}

    def _newAccount(self, key: str, payload: Any, who: Any) -> Any:
        assert payload["termsOfServiceAgreed"] is True
        for url, jwk in self.accounts.items():
            if jwk == who["jwk"]:
                return 200, {}, {"Location": url}
        url = f"{self.base}/account/{self._id()}"
        self.accounts[url] = who["jwk"]
        return 201, {}, {"Location": url}

    def _account(self, key: str, payload: Any, who: Any) -> Any:
        return 200, {}, {}

    def _newOrder(self, key: str, payload: Any, who: Any) -> Any:
        url = f"{self.base}/order/{self._id()}"
        names = [each["value"] for each in payload["identifiers"]]
        urls = [self._new_name(name) for name in names]
        self.orders[url] = {
            "status": "pending", "expires": self.expires, "names": names, "authorizations": urls,
            "finalize": url.replace("/order/", "/finalize/"),
        }  # fmt: skip
        return 201, self.orders[url], {"Location": url}

    def _new_name(self, name: str) -> str:
        url = f"{self.base}/name/{self._id()}"
        challenges = [
            {"type": kind, "url": f"{url.replace('/name/', '/challenge/')}/{kind}",
             "status": "pending", "token": self._token(kind, name)}
            for kind in ("http-01", "dns-01", "tls-alpn-01")
        ]  # fmt: skip
        self._names[url] = {
            "status": "pending", "identifier": {"type": "dns", "value": self.name or name},
            "challenges": challenges, "expires": self.expires,
        }  # fmt: skip
        return url

    def _token(self, kind: str, name: str) -> str:
        usual = f"token-{kind}-{name.replace('.', '-')}"
        return usual if self.token is None else self.token

    def _challenge(self, key: str, payload: Any, who: Any) -> Any:
        assert payload == {}
        number, _, kind = key.partition("/")
        url = f"{self.base}/name/{number}"
        found = next(c for c in self._names[url]["challenges"] if c["type"] == kind)
        found["status"] = "processing"
        self.asked.set()
        return 200, found, {}

    def _name(self, key: str, payload: Any, who: Any) -> Any:
        url = f"{self.base}/name/{key}"
        found = self._names[url]
        for each in found["challenges"]:
            if each["status"] == "processing" and self.held.is_set() and self._decided(url):
                if each["type"] in self.failing:
                    each["status"] = found["status"] = "invalid"
                    each["error"] = self.failing[each["type"]]
                else:
                    each["status"] = found["status"] = "valid"
        return 200, found, {"Retry-After": self.retry_after}

    def _decided(self, url: str) -> bool:
        self._polled[url] += 1
        return self._polled[url] > self.polls

    def _order(self, key: str, payload: Any, who: Any) -> Any:
        url = f"{self.base}/order/{key}"
        if url not in self.orders:
            return problem("malformed", "No such order.", 404)
        order = self.orders[url]
        states = {self._names[each]["status"] for each in order["authorizations"]}
        if order["status"] == "pending" and states == {"valid"}:
            order["status"] = "ready"
        elif order["status"] == "pending" and "invalid" in states:
            order["status"] = "invalid"
        elif order["status"] == "processing" and self._decided(url):
            order["status"] = "valid"
        return 200, order, {"Retry-After": self.retry_after}

    def _finalize(self, key: str, payload: Any, who: Any) -> Any:
        order = self.orders[f"{self.base}/order/{key}"]
        assert order["status"] == "ready"
        csr = x509.load_der_x509_csr(unb64(payload["csr"]))
        assert csr.is_signature_valid
        order["status"] = "processing"
        order["certificate"] = f"{self.base}/certificate/{key}"
        public = None if self.other_key else csr.public_key()
        self._chains[key] = self._signed(order["names"], public)
        return 200, order, {}

    def _signed(self, names: list[str], public: Any) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        key = self.authority.key
        made = (
            x509.CertificateBuilder(self.authority.name, x509.Name([]))
            .public_key(public or ec.generate_private_key(ec.SECP256R1()).public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=self.days))
            .add_extension(x509.SubjectAlternativeName(list(map(x509.DNSName, names))), True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False
            )
            .sign(key, hashes.SHA256())
        )
        return made.public_bytes(serialization.Encoding.PEM) + self.authority.pem.encode()

    def _certificate(self, key: str, payload: Any, who: Any) -> Any:
        more = {"Link": f'<{self.base}/certificate/{key}/1>;rel="alternate"'}
        return 200, self._chains[key], {"Content-Type": "application/pem-certificate-chain", **more}

    def _renewalInfo(self, key: str, payload: Any, who: Any) -> Any:
        assert key.count(".") == 1
        return 200, self.window, {"Retry-After": "21600"}
