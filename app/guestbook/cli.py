"""What the flask command can do besides Flask's own."""

from pathlib import Path

import click
from flask import Flask, current_app
from flask.cli import AppGroup

from guestbook import assets
from guestbook.masking import masked
from guestbook.settings import SOURCES

_assets = AppGroup("assets", help="Static files with hashed names.")


def init_app(app: Flask) -> None:
    """Add the commands."""
    app.cli.add_command(_assets)
    app.cli.command("config")(show_config)


def show_config() -> None:
    """Print every setting in effect, and where it came from. Secrets are hidden."""
    sources = current_app.extensions[SOURCES]
    for key, value in sorted(current_app.config.items()):
        click.echo(f"{key} = {masked(key, value)!r}  # {sources.get(key, 'an extension')}")


@_assets.command("build")
def build() -> None:
    """Write guestbook/static from assets."""
    changed = assets.build(assets.SOURCES, _static())
    click.echo("\n".join(changed) if changed else "Nothing to do.")


@_assets.command("check")
def check() -> None:
    """Fail if guestbook/static is not what 'assets build' would write."""
    if stale := assets.stale(assets.SOURCES, _static()):
        raise click.ClickException(f"run 'flask assets build' for {', '.join(stale)}")


def _static() -> Path:
    return Path(str(current_app.static_folder))
