"""The serializer of session cookies: itsdangerous, with shorter ways for valid cookies.

Both ways give the same text for a value. A cookie that the short way does not accept at once is
left to itsdangerous, which says why it is refused, or accepts it in another spelling. This module
loads itsdangerous, so it is imported when a cookie is first signed or verified.
"""

from __future__ import annotations

import zlib
from binascii import a2b_base64, b2a_base64
from hmac import compare_digest
from hmac import new as new_hmac
from typing import Any

from itsdangerous import BadSignature, TimestampSigner, URLSafeTimedSerializer
from itsdangerous.encoding import base64_encode, int_to_bytes

__all__ = ["BadSignature", "SessionSerializer"]

URL_SAFE = bytes.maketrans(b"+/", b"-_")
NOT_URL_SAFE = bytes.maketrans(b"-_", b"+/")
# Short values are compressed with a small window and small tables, which takes much less memory.
# The size is the same if all of the value is within reach of its end: 262 bytes less than a window.
SMALL_WINDOWS = ((250, -9), (762, -10))
TABLES = 4  # memLevel
FRAME = 6  # bytes of header and checksum that zlib adds


class SessionSerializer(URLSafeTimedSerializer):
    """Signs and verifies with one signer, whose keys are derived once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, signer=_Signer, **kwargs)
        self._signer = _Signer(self.secret_keys, salt=self.salt, **self.signer_kwargs)

    def make_signer(self, salt: str | bytes | None = None) -> TimestampSigner:
        """The signer of this serializer; another one for another salt."""
        return self._signer if salt is None else super().make_signer(salt)  # type: ignore[return-value]

    def dump_payload(self, obj: Any) -> bytes:
        """The value as text for a URL, compressed if that is shorter."""
        text = self.serializer.dumps(obj, **self.serializer_kwargs)
        plain = text.encode() if isinstance(text, str) else text
        if _may_shrink(plain):
            packed = zlib.compress(plain)
            if len(packed) < len(plain) - 1:
                return b"." + _to_base64(packed)
        return _to_base64(plain)

    def loads(  # type: ignore[override]  # as TimedSerializer has it
        self,
        s: str | bytes,
        max_age: int | None = None,
        return_timestamp: bool = False,
        salt: str | bytes | None = None,
    ) -> Any:
        """The value of a signed text. Raises what itsdangerous raises."""
        if max_age is not None and not return_timestamp and salt is None:
            payload = self._signer.payload_of(s, max_age)
            if payload:
                return self.load_payload(payload)
        return super().loads(s, max_age, return_timestamp, salt)

    def load_payload(self, payload: bytes, *args: Any, **kwargs: Any) -> Any:
        """The value of a payload whose signature is right. Raises what itsdangerous raises."""
        if self.is_text_serializer and payload[:1] != b"." and not args and not kwargs:
            try:
                return self.serializer.loads(_from_base64(payload).decode())
            except Exception:
                pass  # itsdangerous says what is wrong
        return super().load_payload(payload, *args, **kwargs)


class _Signer(TimestampSigner):
    """Keeps a hash that has begun with each key, and the time as text for the current second."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._macs: list[Any] | None = None  # the newest key first
        self._now: tuple[int, bytes] = (-1, b"")

    def _started(self) -> list[Any]:
        if self._macs is None:
            digest = self.digest_method
            keys = [self.derive_key(key) for key in reversed(self.secret_keys)]
            self._macs = [new_hmac(key, digestmod=digest) for key in keys]
        return self._macs

    def get_signature(self, value: str | bytes) -> bytes:
        """The signature of a value with the newest key."""
        mac = self._started()[0].copy()
        mac.update(value.encode() if isinstance(value, str) else value)
        return _to_base64(mac.digest())

    def sign(self, value: str | bytes) -> bytes:
        """The value with the time and the signature."""
        now = self.get_timestamp()
        known = self._now
        if known[0] != now:
            known = self._now = (now, base64_encode(int_to_bytes(now)))
        value = value.encode() if isinstance(value, str) else value
        signed = b"%b.%b" % (value, known[1])
        return b"%b.%b" % (signed, self.get_signature(signed))

    def payload_of(self, signed: str | bytes, max_age: int) -> bytes | None:
        """The signed value if its signature and its age are right; otherwise None."""
        text = signed.encode() if isinstance(signed, str) else signed
        value, _, signature = text.rpartition(b".")
        payload, _, time = value.rpartition(b".")
        try:
            then = int.from_bytes(_from_base64(time), "big")
        except ValueError:
            return None
        if not 0 <= self.get_timestamp() - then <= max_age:
            return None
        for started in self._started():
            mac = started.copy()
            mac.update(value)
            if compare_digest(_to_base64(mac.digest()), signature):
                return payload
        return None


def _to_base64(data: bytes) -> bytes:
    return b2a_base64(data, newline=False).translate(URL_SAFE).rstrip(b"=")


def _from_base64(text: bytes) -> bytes:
    return a2b_base64(text.translate(NOT_URL_SAFE) + b"=" * (-len(text) % 4))


def _may_shrink(data: bytes) -> bool:
    """Whether `zlib.compress` could make a value shorter. False if it cannot."""
    size = len(data)
    for limit, window in SMALL_WINDOWS:
        if size <= limit:
            packer = zlib.compressobj(-1, zlib.DEFLATED, window, TABLES)
            return len(packer.compress(data)) + len(packer.flush()) + FRAME < size - 1
    return True
