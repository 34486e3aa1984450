"""The error of certificates that cannot be used, apart from the files that load OpenSSL."""


class CertificateError(ValueError):
    """A certificate or its key cannot be used. The text is for the user, and says what to do."""
