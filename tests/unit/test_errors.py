"""Messages, hints and exit codes."""

import pytest

from skinzoo import errors


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.SkinzooError, 1),
        (errors.UsageError, 2),
        (errors.MissingExtraError, 2),
        (errors.DataError, 3),
        (errors.PluginError, 4),
        (errors.UnknownNameError, 4),
        (errors.DuplicateNameError, 4),
        (errors.ModelError, 5),
        (errors.ServingError, 6),
        (errors.PartialFailureError, 7),
    ],
)
def test_every_error_has_its_exit_code(kind, code):
    assert kind("x").exit_code == code
    assert issubclass(kind, errors.SkinzooError)


def test_the_hint_stands_behind_the_message():
    error = errors.DataError("`age` must be a number. Received: 'x'.", hint="Leave it empty.")
    assert str(error) == "`age` must be a number. Received: 'x'. Leave it empty."
    assert str(errors.DataError("No image.")) == "No image."


@pytest.mark.parametrize(
    ("received", "expected"), [("sofft", "soft"), ("SOFT", "soft"), ("zzz", None), ("", None)]
)
def test_nearest(received, expected):
    assert errors.nearest(received, ["none", "se", "soft"]) == expected


def test_one_of_says_what_must_hold_what_came_and_what_was_meant():
    error = errors.one_of("attention", "sofft", ["none", "se", "soft"])
    assert str(error) == (
        "`attention` must be one of none, se, soft. Received: 'sofft'. Did you mean 'soft'?"
    )
    assert error.exit_code == 2


def test_one_of_takes_an_iterator_once():
    assert "a, b" in str(errors.one_of("x", "q", iter(["a", "b"])))
