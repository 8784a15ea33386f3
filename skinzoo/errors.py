"""Every error that a user is meant to read, with the exit code that the CLI ends with."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SkinzooError(Exception):
    """An expected failure: shown as one line without a traceback.

    Args:
        message: What must hold and what came instead.
        hint: What to do about it; shown after the message.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class UsageError(SkinzooError):
    """A command, option or setting that cannot be honoured."""

    exit_code = 2


class MissingExtraError(UsageError):
    """A feature whose optional dependency is not installed."""


class DataError(SkinzooError):
    """Images, metadata or splits that cannot be used as they are."""

    exit_code = 3


class PluginError(SkinzooError):
    """A plugin that breaks the contract, or a part that no plugin provides."""

    exit_code = 4


class UnknownNameError(PluginError):
    """A name that no plugin registers."""


class DuplicateNameError(PluginError):
    """A name that two plugins register."""


class ModelError(SkinzooError):
    """A model, its weights, a run or an export that cannot be built, read or written."""

    exit_code = 5


class ServingError(SkinzooError):
    """A server or a connection that does not do what it should."""

    exit_code = 6


class PartialFailureError(SkinzooError):
    """A batch of which some cases failed and the others were answered."""

    exit_code = 7


class StoppedError(SkinzooError):
    """Work that was stopped by a signal after its state was saved."""

    exit_code = 130


def nearest(received: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed name that `received` most likely means, or None if nothing is close."""
    matches = difflib.get_close_matches(received.lower(), list(allowed), n=1, cutoff=0.6)
    return matches[0] if matches else None


def did_you_mean(received: str, allowed: Iterable[str]) -> str | None:
    """Return the hint "Did you mean 'NAME'?" or None if no allowed name is close."""
    match = nearest(received, allowed)
    return f"Did you mean '{match}'?" if match else None


def one_of(what: str, received: str, allowed: Iterable[str]) -> UsageError:
    """Return the error for a value outside a fixed set, with the nearest allowed value."""
    names = list(allowed)
    return UsageError(
        f"`{what}` must be one of {', '.join(names)}. Received: '{received}'.",
        hint=did_you_mean(received, names),
    )
