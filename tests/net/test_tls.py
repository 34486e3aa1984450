"""Files of certificates that cannot be used: the reason is one sentence, with what to do."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from carboy.net.certificates import validity_problem
from carboy.net.tls import context_of, problem_of
from carboy.serving import run_simple

PEM = serialization.Encoding.PEM
FORM = serialization.PrivateFormat.PKCS8
TODAY = datetime.datetime.now(datetime.UTC)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    for file, days in (("good", 0), ("expired", -10), ("early", 10)):
        begin = TODAY + datetime.timedelta(days=days)
        made = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name)
            .public_key(key.public_key()).serial_number(1).not_valid_before(begin)
            .not_valid_after(begin + datetime.timedelta(days=5)).sign(key, hashes.SHA256())
        )  # fmt: skip
        (folder / f"{file}.pem").write_bytes(made.public_bytes(PEM))
    plain, locked = serialization.NoEncryption(), serialization.BestAvailableEncryption(b"x")
    (folder / "key.pem").write_bytes(key.private_bytes(PEM, FORM, plain))
    (folder / "other.pem").write_bytes(other.private_bytes(PEM, FORM, plain))
    (folder / "locked.pem").write_bytes(key.private_bytes(PEM, FORM, locked))
    (folder / "text.pem").write_text("not a certificate\n")
    return folder


CASES = [
    ("text.pem", "key.pem", "text.pem does not contain a certificate in PEM format."),
    ("good.pem", "text.pem", "text.pem does not contain a private key in PEM format."),
    ("key.pem", "good.pem", "key.pem does not contain a certificate in PEM format."),
    ("good.pem", "other.pem", "other.pem does not belong to the certificate in "),
    ("missing.pem", "key.pem", "missing.pem cannot be read: No such file or directory."),
]


@pytest.mark.parametrize(("certificate", "key", "told"), CASES)
def test_the_file_that_is_wrong_is_named(
    files: Path, certificate: str, key: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = (str(files / certificate), str(files / key))
    with pytest.raises(OSError) as problem:  # noqa: PT011 - of any of its classes
        context_of(pair)
    assert told in problem_of(pair, problem.value)
    with pytest.raises(SystemExit):
        run_simple("127.0.0.1", 0, lambda environ, start_response: [], ssl_context=pair)
    assert told in capsys.readouterr().err


def test_an_encrypted_key_is_named(files: Path) -> None:
    pair = (str(files / "good.pem"), str(files / "locked.pem"))
    assert "is encrypted" in problem_of(pair, OSError(22, "Invalid argument"))


def test_the_password_of_an_encrypted_key_may_be_in_a_variable(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARBOY_KEY_PASSWORD", "x")
    assert context_of((str(files / "good.pem"), str(files / "locked.pem"))) is not None


def test_a_certificate_that_browsers_refuse_is_told_apart(files: Path) -> None:
    assert validity_problem(str(files / "good.pem")) == ""
    assert "expired on 20" in validity_problem(str(files / "expired.pem"))
    assert "is valid from 20" in validity_problem(str(files / "early.pem"))
