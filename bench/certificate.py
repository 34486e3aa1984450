"""The certificate of the servers that are measured over TLS: RSA, 2048 bits, as many sites have."""

from __future__ import annotations

import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path


@cache
def files() -> tuple[str, str]:
    """The names of the files of the certificate and of its key, made by the first call."""
    folder = Path(tempfile.gettempdir(), f"carboy-bench-tls-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if not (certificate.exists() and key.exists()):
        name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", *name,
             "-keyout", str(key), "-out", str(certificate)],
            check=True, capture_output=True,
        )  # fmt: skip
    return str(certificate), str(key)
