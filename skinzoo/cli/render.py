"""The only place that prints: tables, JSON, notices and errors."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from skinzoo.errors import SkinzooError

if TYPE_CHECKING:
    import logging

    from rich.console import Console

_log: logging.Logger | None = None


def console(*, stderr: bool = False) -> Console:
    """Return a console on the current stdout or stderr; made anew so that redirected streams are honoured."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=False)


def width() -> int:
    """Return the width of the terminal in columns."""
    return console().width


def line(text: str = "") -> None:
    """Print one plain line on stdout."""
    sys.stdout.write(text + "\n")


def notice(text: str) -> None:
    """Print one plain line on stderr, or log it where `notices_to` says so."""
    if _log is not None:
        _log.info("%s", text)
        return
    sys.stderr.write(text + "\n")


def notices_to(log: logging.Logger | None) -> None:
    """Log notices instead of printing them, for a process whose log others read; None prints them again."""
    global _log
    _log = log


def error(failure: SkinzooError) -> None:
    """Print an expected failure as one line on stderr."""
    text = f"Error: {' '.join(str(failure).split())}"
    if _log is not None:
        _log.error("%s", text)
    else:
        notice(text)


def json_document(value: Any) -> None:
    """Print a value as JSON on stdout; strict JSON, so NaN must not be in it."""
    line(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def number_of(number: int, what: str) -> str:
    """Return a count with its noun, in the plural where there is not just one."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def natural_width(columns: Sequence[str], rows: Sequence[Sequence[str]], *, gap: int = 2) -> int:
    """Return how many terminal columns a table needs so that nothing in it wraps."""
    from rich.cells import cell_len

    widths = [
        max(cell_len(text) for cell in cells for text in (cell.split("\n") or [""]))
        for cells in zip(columns, *rows, strict=True)
    ]
    return sum(widths) + gap * (len(widths) - 1)


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[str] = (),
    wrap: Sequence[str] = (),
) -> None:
    """Print a table on stdout.

    Args:
        columns: Column titles.
        rows: Cells, as many in a row as there are columns.
        right: Titles of the columns that are aligned to the right.
        wrap: Titles of the columns that wrap where the terminal is narrow; every column by default.
    """
    from rich import box
    from rich.table import Table

    gap = 2 if natural_width(columns, rows) <= width() else 1
    # The box draws one space between columns, the padding makes the rest of the gap.
    out = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, gap - 1, 0, 0), pad_edge=False)
    for column in columns:
        out.add_column(
            column,
            justify="right" if column in right else "left",
            overflow="fold",
            no_wrap=bool(wrap) and column not in wrap,
        )
    for row in rows:
        out.add_row(*row)
    console().print(out)


def heading(text: str) -> None:
    """Print a heading on stdout."""
    from rich.text import Text

    console().print(Text(text, style="bold"))


def paragraph(text: str) -> None:
    """Print text on stdout, wrapped at the terminal's width."""
    from rich.text import Text

    console().print(Text(text))


def fields(pairs: Sequence[tuple[str, str]]) -> None:
    """Print names and values in two columns on stdout."""
    rows(pairs, name_style="bold")


def rows(cells: Sequence[Sequence[str]], *, name_style: str = "") -> None:
    """Print cells in columns without titles on stdout; only the last column wraps."""
    from rich.table import Table

    if not cells:
        return
    out = Table.grid(padding=(0, 2))
    for i in range(len(cells[0])):
        last = i == len(cells[0]) - 1
        out.add_column(style=name_style if i == 0 else "", no_wrap=not last, overflow="fold")
    for row in cells:
        out.add_row(*row)
    console().print(out)


def confirm(question: str) -> bool:
    """Ask a yes-or-no question on stderr; without a terminal the answer is no."""
    import typer

    return sys.stdin.isatty() and typer.confirm(question, default=False, err=True)


@contextmanager
def counted(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on stderr while images are gone through; nothing where stderr is no terminal.

    Yields:
        A callback that takes the numbers done and of all.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    out = console(stderr=True)
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bars:
        task = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


@contextmanager
def transferred() -> Iterator[Callable[[str, int, int | None], None]]:
    """Show a bar on stderr for each file that is transferred; nothing where stderr is no terminal.

    Yields:
        A callback that takes a file's name, the bytes that have arrived, and all its bytes or None.
    """
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    out = console(stderr=True)
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=out, expand=True, disable=not out.is_terminal) as bars:

        def show(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done, total=total)

        yield show


def value_text(value: Any) -> str:
    """Return a setting's value as text: yes and no, lists and tables in one line, `-` for nothing."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(value_text, value)) or "-"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={value_text(item)}" for key, item in value.items()) or "-"
    return str(value) or "-"
