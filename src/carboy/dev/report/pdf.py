"""A document as PDF, which WeasyPrint makes of the HTML page."""

from __future__ import annotations

import logging

from carboy.dev.report import html
from carboy.dev.report.document import Document

INSTALL = "Install it with `pip install 'carboy[pdf]'`."
LIBRARIES = "On Debian, install them with `apt install libpango-1.0-0 libpangoft2-1.0-0`."


class NotAvailable(Exception):
    """A PDF cannot be made; the text says what to install."""


def check() -> None:
    """Raise `NotAvailable` if what is needed is not installed."""
    try:
        import weasyprint  # noqa: F401
    except ImportError:
        raise NotAvailable(f"A PDF needs WeasyPrint, which is not installed. {INSTALL}") from None
    except OSError:
        raise NotAvailable(
            f"WeasyPrint does not find the libraries of Pango. {LIBRARIES}"
        ) from None


def render(document: Document) -> bytes:
    """The whole file."""
    check()
    import weasyprint

    # It warns of rules that are for screens only.
    logging.getLogger("weasyprint").setLevel(logging.ERROR)
    return bytes(weasyprint.HTML(string=html.render(document)).write_pdf())
