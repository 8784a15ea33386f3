"""Tables as Markdown."""

from __future__ import annotations

from skinzoo.pages.page import Grid

_SIGNS = ("\\", "|", "<", "*", "_", "[", "]", "`")


def escaped(text: str) -> str:
    """Return plain text that Markdown shows as it is, in one line."""
    for sign in _SIGNS:
        text = text.replace(sign, "\\" + sign)
    return " ".join(text.split())


def markdown_table(grid: Grid) -> list[str]:
    """Return the lines of a table, its title and note left out."""
    return [
        "| " + " | ".join(map(escaped, grid.columns)) + " |",
        "|" + "---|" * len(grid.columns),
        *("| " + " | ".join(map(escaped, row)) + " |" for row in grid.rows),
    ]
