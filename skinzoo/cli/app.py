"""The Typer application: commands, the version option, plugins' commands and exit codes."""

from __future__ import annotations

import copy
import importlib
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command_name
from typer.models import CommandInfo, TyperInfo

from skinzoo.cli import render
from skinzoo.errors import DuplicateNameError, SkinzooError, StoppedError
from skinzoo.plugins import BLOCK_VARIABLE, Plugin

INTERRUPTED = 130
COMMAND_MODULES = (
    "list_",
    "show",
    "plugins",
    "doctor",
    "new_plugin",
    "data",
    "train",
    "sweep",
    "evaluate",
    "predict",
    "ensemble",
    "explain",
    "export",
    "serve",
    "promote",
    "profile",
    "compare",
    "results",
    "runs",
    "demo",
)


class SkinzooGroup(TyperGroup):
    """A group whose expected failures end with one line on stderr and their own exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command and translate what it raises."""
        try:
            return super().invoke(ctx)
        except StoppedError as stopped:
            # What was asked for and did happen is no error.
            render.notice(str(stopped))
            raise typer.Exit(stopped.exit_code) from stopped
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


def add_plugin_commands(target: typer.Typer, plugin: Plugin) -> None:
    """Add a plugin's commands, all or none.

    Args:
        target: The application.
        plugin: A loaded plugin.

    Raises:
        PluginError: Its hook failed, or one of its commands has the name of another.
    """
    own = typer.Typer()
    plugin.add_commands(own)
    taken = command_names(own) & command_names(target)
    if taken:
        raise DuplicateNameError(
            f"The commands of plugin {plugin.provider} are left out: there is a command "
            f"'{min(taken)}' already.",
            hint=f"Disable the plugin with {BLOCK_VARIABLE}={plugin.provider.plugin}",
        )
    target.registered_commands.extend(own.registered_commands)
    target.registered_groups.extend(own.registered_groups)


def command_names(of: typer.Typer) -> set[str]:
    """Return the names of an application's commands and groups."""
    names = {_command_name(command) for command in of.registered_commands}
    return {name for name in names | {_group_name(group) for group in of.registered_groups} if name}


def only_command(whole: typer.Typer, arguments: Sequence[str]) -> typer.Typer:
    """Return the application with just the command that is asked for, or whole where none is.

    Typer prepares every registered command on every call, which took a third of the time of `skinzoo list`.

    Args:
        whole: The application.
        arguments: What follows the program's name.
    """
    asked = arguments[0] if arguments else ""
    commands = [each for each in whole.registered_commands if _command_name(each) == asked]
    groups = [each for each in whole.registered_groups if _group_name(each) == asked]
    if not asked or not (commands or groups):
        return whole
    one = copy.copy(whole)
    one.registered_commands, one.registered_groups = commands, groups
    return one


def _command_name(command: CommandInfo) -> str | None:
    return command.name or (get_command_name(command.callback.__name__) if command.callback else None)


def _group_name(group: TyperInfo) -> str | None:
    name = group.name or (group.typer_instance.info.name if group.typer_instance else None)
    return name if isinstance(name, str) else None


def main() -> None:
    """Run the CLI with the plugins' commands."""
    from skinzoo.registry import registry

    for plugin in registry().plugins:
        try:
            add_plugin_commands(app, plugin)
        except SkinzooError as error:
            render.error(error)
    only_command(app, sys.argv[1:])()
