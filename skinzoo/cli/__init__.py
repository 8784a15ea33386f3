"""The command line: one thin module a command, rendering in `render`, errors turned into exit codes."""

from __future__ import annotations

from skinzoo.cli.app import app, main

__all__ = ["app", "main"]
