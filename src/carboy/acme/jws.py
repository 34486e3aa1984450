"""Keys of accounts and signatures of requests (RFC 7515, RFC 7517, RFC 8555 section 6.2)."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

SIZE = 32  # bytes of a coordinate of P-256 (RFC 7518, section 6.2.1.2)


def b64(data: bytes) -> str:
    """base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key of the curve P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def pem_of(key: ec.EllipticCurvePrivateKey) -> str:
    """The key in PEM format (PKCS#8)."""
    form = serialization
    data = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    return data.decode("ascii")


def key_of(pem: str) -> ec.EllipticCurvePrivateKey:
    """The key in a PEM text. Raises ValueError."""
    key = serialization.load_pem_private_key(pem.encode("ascii"), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise ValueError("This is not a key of the curve P-256.")
    return key


class Signer:
    """Signs requests with the key of an account (ES256; RFC 7518, section 3.4)."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self.key = key
        numbers = key.public_key().public_numbers()
        x, y = (b64(each.to_bytes(SIZE, "big")) for each in (numbers.x, numbers.y))
        self.jwk = {"crv": "P-256", "kty": "EC", "x": x, "y": y}

    def thumbprint(self) -> str:
        """The digest of the public key (RFC 7638)."""
        text = json.dumps(self.jwk, sort_keys=True, separators=(",", ":"))
        return b64(hashlib.sha256(text.encode("ascii")).digest())

    def sign(self, protected: dict[str, Any], payload: bytes) -> bytes:
        """The body of a request: a JWS in the flattened JSON form (RFC 7515, section 7.2.2)."""
        head = b64(json.dumps({"alg": "ES256", **protected}).encode())
        content = b64(payload)
        signed = f"{head}.{content}".encode("ascii")
        r, s = decode_dss_signature(self.key.sign(signed, ec.ECDSA(hashes.SHA256())))
        signature = b64(r.to_bytes(SIZE, "big") + s.to_bytes(SIZE, "big"))
        return json.dumps({"protected": head, "payload": content, "signature": signature}).encode()
