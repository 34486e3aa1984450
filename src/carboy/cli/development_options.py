"""Options that `carboy dev` and `flask run` share: certificates and watched files."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import IO, Any, TypeVar

import click

from carboy.cli.options import ADDRESS, RELOAD, SectionOption
from carboy.http.imports import import_string

__all__ = ["CertParamType", "SeparatedPathType"]

F = TypeVar("F", bound=Callable[..., Any])


def _context_class() -> Any:
    try:
        from ssl import SSLContext
    except ImportError:
        return None
    return SSLContext


def _is_context(value: object) -> bool:
    kind = _context_class()
    return kind is not None and isinstance(value, kind)


class CertParamType(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A certificate: an existing file, the word "adhoc", or the import name of a context."""

    name = "path"
    missing_library: type[click.BadParameter] = click.BadParameter

    def __init__(self) -> None:
        self.path_type = click.Path(exists=True, dir_okay=False, resolve_path=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The absolute path, "adhoc" or the ssl.SSLContext. Else raises click.BadParameter."""
        if _context_class() is None:
            raise click.BadParameter(
                'Using "--cert" requires Python to be compiled with SSL support, which this'
                " one lacks.",
                ctx,
                param,
            )
        try:
            return self.path_type(value, param, ctx)
        except click.BadParameter:
            if click.STRING(value, param, ctx).lower() == "adhoc":
                self._need_cryptography(ctx, param)
                return "adhoc"
            found: Any = import_string(value, silent=True)
            if _is_context(found):
                return found
            raise

    def _need_cryptography(self, ctx: click.Context | None, param: click.Parameter | None) -> None:
        try:
            import cryptography  # noqa: F401
        except ImportError:
            raise self.missing_library(
                "Using ad-hoc certificates requires the cryptography library. Install it with"
                " `pip install cryptography`, or use --cert and --key with a certificate of your"
                " own.",
                ctx,
                param,
            ) from None


class MissingLibrary(click.BadParameter):
    """The value requires a library that is not installed; shown without the command's usage."""

    def show(self, file: IO[Any] | None = None) -> None:
        """One line, because the command line is right."""
        click.ClickException.show(self, file)

    def format_message(self) -> str:
        """The message without the name of the option."""
        return self.message


class OneLineCert(CertParamType):
    """The same for `carboy dev`; Flask shows the usage of the command, too."""

    missing_library = MissingLibrary


def checked_key(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Callback of --key, which belongs to a --cert that is a file; makes a pair of the two."""
    cert = ctx.params.get("cert")
    if value is not None:
        if cert is None:
            raise click.BadParameter(
                '"--cert" must also be specified: a key belongs to a certificate.', ctx, param
            )
        if cert == "adhoc":
            raise click.BadParameter(
                'When "--cert" is "adhoc", "--key" is not used. Leave "--key" out.', ctx, param
            )
        if _is_context(cert):
            raise click.BadParameter(
                'When "--cert" is an SSLContext object, "--key" is not used. Leave "--key" out.',
                ctx,
                param,
            )
        ctx.params["cert"] = cert, value
    elif cert is not None and cert != "adhoc" and not _is_context(cert):
        raise click.BadParameter(
            'Required when using "--cert": give the key file of the certificate.', ctx, param
        )
    return value


class SeparatedPathType(click.Path):
    """Several paths in one value, separated as in PATH."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The list of paths."""
        items = self.split_envvar_value(value)
        return [super(SeparatedPathType, self).convert(item, param, ctx) for item in items]


def with_certificate(command: F, kind: type[CertParamType] = CertParamType) -> F:
    """The options --cert and --key; the command gets `cert`: a context, "adhoc", a pair, None."""
    key_type = click.Path(exists=True, dir_okay=False, resolve_path=True)
    key = click.option(
        "--key", cls=SectionOption, section=ADDRESS, type=key_type, callback=checked_key,
        expose_value=False,
        help="Private key file of the certificate.",
    )  # fmt: skip
    cert = click.option(
        "--cert", cls=SectionOption, section=ADDRESS, type=kind(), is_eager=True,
        help="Certificate for HTTPS: a file, 'adhoc' for a generated certificate, or the import"
        " name of an ssl.SSLContext.",
    )  # fmt: skip
    return cert(key(command))


def with_watched_files(command: F) -> F:
    """The options --extra-files and --exclude-patterns of a reloader."""
    exclude = click.option(
        "--exclude-patterns", cls=SectionOption, section=RELOAD, type=SeparatedPathType(),
        help="Patterns of files whose changes do not cause a reload, as for fnmatch, separated by"
        f" {os.pathsep!r}.",
    )  # fmt: skip
    extra = click.option(
        "--extra-files", cls=SectionOption, section=RELOAD, type=SeparatedPathType(),
        help=f"Further files to watch for changes, separated by {os.pathsep!r}.",
    )  # fmt: skip
    return extra(exclude(command))
