"""HTTPS requests to an authority, with the standard library."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPMessage
from typing import Any
from urllib.parse import urlsplit

from carboy.acme.problems import Unreachable

TIMEOUT = 30.0  # seconds for each step of a request
LARGEST = 1024 * 1024  # bytes of a response
AGENT = "carboy"


@dataclass(frozen=True, slots=True)
class Reply:
    """A response of an authority."""

    url: str
    status: int
    headers: Message[str, str]
    body: bytes

    def document(self) -> dict[str, Any]:
        """The JSON object. Raises Unreachable for anything else."""
        try:
            found = json.loads(self.body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Unreachable(
                f"{self.url} does not answer with an object in JSON. Check --acme-directory."
            )
        return found

    def retry_at(self, now: float) -> float | None:
        """The time in Retry-After (RFC 9110, section 10.2.3); None without a usable one."""
        value = (self.headers.get("Retry-After") or "").strip()
        if value.isascii() and value.isdecimal():
            return now + int(value[:9])
        try:
            return parsedate_to_datetime(value).timestamp()
        except (ValueError, OverflowError):
            return None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects of GET, but not from https to http."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: HTTPMessage,
                         newurl: str) -> urllib.request.Request | None:  # fmt: skip
        if req.get_method() != "GET" or urlsplit(newurl).scheme != urlsplit(req.full_url).scheme:
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class Transport:
    """Sends requests. `ca` is a file of authorities for the server's certificate, or ""."""

    def __init__(self, ca: str = "") -> None:
        try:
            context = ssl.create_default_context(cafile=ca or None)
        except (ssl.SSLError, OSError):
            raise Unreachable(
                f"{ca} does not contain a certificate in PEM format. Use another file for"
                " --acme-ca."
            ) from None
        https = urllib.request.HTTPSHandler(context=context)
        self._opener = urllib.request.build_opener(https, _Redirects)

    def __call__(
        self, url: str, method: str = "GET", body: bytes | None = None, accept: str = ""
    ) -> Reply:
        """The response, whatever its status. Raises Unreachable without one."""
        headers = {"User-Agent": AGENT}
        if body is not None:
            headers["Content-Type"] = "application/jose+json"
        if accept:
            headers["Accept"] = accept
        try:
            request = urllib.request.Request(url, body, headers, method=method)
            with self._opener.open(request, timeout=TIMEOUT) as response:
                return Reply(url, response.status, response.headers, response.read(LARGEST))
        except urllib.error.HTTPError as answer:
            with answer:
                return Reply(url, answer.code, answer.headers, answer.read(LARGEST))
        except (OSError, HTTPException, ValueError) as problem:
            raise Unreachable(_why(url, problem)) from None


def _why(url: str, problem: Exception) -> str:
    reason = getattr(problem, "reason", problem)
    host = urlsplit(url).netloc
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            f"The certificate of {host} is not trusted: {reason.verify_message}. If it belongs to a"
            " directory of your own, name the file of its root with --acme-ca."
        )
    text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return f"{host} cannot be reached: {text.rstrip('.')}. Check the network and --acme-directory."
