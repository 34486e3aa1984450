"""Fields of certificates, read without a library; the library `cryptography` reads the same."""

from __future__ import annotations

import datetime
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from carboy.net.tls_facts import distinguished_name
from carboy.net.x509 import parse, parse_pem
from certificates import NOW, Authority

AUTHORITY = Authority("Größe, AG")
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)


def test_names_are_those_of_the_extension_in_lower_case_with_addresses() -> None:
    signed = AUTHORITY.sign("Shop.Example", "*.shop.example", "192.0.2.1", "2001:db8::1")
    found = parse_pem(signed.certificate.decode())
    assert found.names == ("shop.example", "*.shop.example", "192.0.2.1", "2001:db8::1")


def test_without_the_extension_the_common_name_counts() -> None:
    signed = AUTHORITY.sign(subject={"COMMON_NAME": "old.example"})
    assert parse_pem(signed.certificate.decode()).names == ("old.example",)


@settings(max_examples=25, deadline=None)
@given(TEXT, TEXT, st.integers(-20000, 30000))
def test_every_field_reads_as_the_library_reads_it(name: str, unit: str, days: int) -> None:
    subject = {"COMMON_NAME": name, "ORGANIZATIONAL_UNIT_NAME": unit, "COUNTRY_NAME": "DE"}
    signed = AUTHORITY.sign("x.example", days=days, begins=days - 3, subject=subject)
    found, same = parse(signed.x509.public_bytes(Encoding.DER)), signed.x509
    assert distinguished_name(found.subject) == same.subject.rfc4514_string()
    assert distinguished_name(found.issuer) == same.issuer.rfc4514_string()
    assert found.serial == same.serial_number
    assert (found.begins, found.ends) == (same.not_valid_before_utc, same.not_valid_after_utc)
    assert found.fingerprint == same.fingerprint(hashes.SHA256()).hex()


def test_a_certificate_with_an_rsa_key_is_read_too() -> None:
    key = rsa.generate_private_key(65537, 2048)
    found = parse_pem(AUTHORITY.sign("rsa.example", key=key).certificate.decode())
    assert found.names == ("rsa.example",)


def test_days_are_counted_to_the_end() -> None:
    found = parse_pem(AUTHORITY.sign("x.example", days=30).certificate.decode())
    assert found.days_left(NOW) in (29, 30)
    assert found.days_left(NOW + datetime.timedelta(days=40)) < 0


DER = AUTHORITY.sign("x.example", "192.0.2.1").x509.public_bytes(Encoding.DER)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(DER) - 1), st.binary(max_size=3))
def test_damaged_bytes_are_refused_or_read_but_never_fail_otherwise(at: int, other: bytes) -> None:
    for damaged in (DER[:at], DER[:at] + other + DER[at + len(other) :]):
        try:
            parse(damaged)
        except ValueError:
            pass


def test_other_text_is_not_a_certificate() -> None:
    with pytest.raises(ValueError, match="not a certificate"):
        parse(b"hello")
    with pytest.raises(ValueError, match="PEM"):
        parse_pem("hello")
    assert isinstance(ssl.DER_cert_to_PEM_cert(DER), str)
    assert x509.load_der_x509_certificate(DER)
