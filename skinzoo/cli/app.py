"""The Typer application: commands, the version option, plugins' commands and exit codes."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from skinzoo.cli import render
from skinzoo.errors import SkinzooError

INTERRUPTED = 130
COMMAND_MODULES = ("list_", "show", "plugins", "doctor", "new_plugin", "data")


class SkinzooGroup(TyperGroup):
    """A group whose expected failures end with one line on stderr and their own exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command and translate what it raises."""
        try:
            return super().invoke(ctx)
        except SkinzooError as error:
            render.error(error)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            render.notice("Interrupted.")
            raise typer.Exit(INTERRUPTED) from error


app = typer.Typer(
    name="skinzoo",
    cls=SkinzooGroup,
    help="A model zoo for skin-lesion classification. For research and education, not for diagnosis.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    # Plain help and usage errors: rich's cost 0.2 s of imports and put an error into a box of several lines.
    rich_markup_mode=None,
)


def _print_version(value: bool) -> None:
    if value:
        from skinzoo import __version__

        render.line(f"skinzoo {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


for _name in COMMAND_MODULES:
    importlib.import_module(f"skinzoo.cli.{_name}").add_to(app)


def main() -> None:
    """Run the CLI with the plugins' commands."""
    from skinzoo.registry import registry

    for plugin in registry().plugins:
        try:
            plugin.add_commands(app)
        except SkinzooError as error:
            render.error(error)
    app()
