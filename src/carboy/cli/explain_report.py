"""`carboy explain --report`: records a server from its start and writes the report to a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from carboy.dev.explain.recording import Recording
from carboy.dev.report import content, html, markdown, pdf
from carboy.dev.report.content import Told
from carboy.dev.report.document import Document

RENDERERS: dict[str, Callable[[Document], bytes]] = {
    ".md": lambda document: markdown.render(document).encode(),
    ".html": lambda document: html.render(document).encode(),
    ".pdf": pdf.render,
}


def check(file: str) -> None:
    """Raise a usage error if the form of the report is not known."""
    if Path(file).suffix.lower() not in RENDERERS:
        raise click.BadParameter(
            f"{file} does not end with {', '.join(RENDERERS)}, so the form of the report is not"
            " known.", param_hint="--report",
        )  # fmt: skip


def write(file: str, recording: Recording, told: Told) -> None:
    """Write the report in the form that the suffix of the file names."""
    text = RENDERERS[Path(file).suffix.lower()](content.make(recording, told))
    try:
        Path(file).write_bytes(text)
    except OSError as problem:
        raise click.ClickException(f"{file} cannot be written: {problem.strerror}.") from None
    click.echo(f"Wrote {file}.", err=True)
