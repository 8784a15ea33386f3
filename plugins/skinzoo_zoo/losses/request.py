"""From a LossRequest to options and class weights, with errors that a user understands; free of Keras."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from skinzoo.api import DataError, LossRequest, UsageError, one_of
from skinzoo_zoo.losses.checks import weight_vector

FROM_COUNTS = "from_counts"


def options_of(request: LossRequest, loss: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return a loss's options: its defaults with what the request sets.

    Raises:
        UsageError: The request sets an option that the loss does not have.
    """
    for name in request.options:
        if name not in defaults:
            if not defaults:
                raise UsageError(f"Loss '{loss}' takes no options. Received: '{name}'.")
            raise one_of(f"option of loss '{loss}'", name, defaults)
    return {**defaults, **request.options}


@contextmanager
def usage_errors(loss: str) -> Iterator[None]:
    """Turn the ValueError of a loss's own checks into the error that the CLI shows in one line."""
    try:
        yield
    except ValueError as error:
        raise UsageError(f"Loss '{loss}': {error}") from error


def class_counts(request: LossRequest) -> tuple[int, ...]:
    """Return the training cases of each class.

    Raises:
        DataError: There are no classes, or a class has no training case.
    """
    counts = tuple(int(count) for count in request.class_counts)
    empty = [name for name, count in zip(_names(request), counts, strict=True) if count < 1]
    if empty or not counts:
        raise DataError(
            "Every class needs a training case for a weight to be computed from counts. "
            f"Received: no case of {', '.join(empty) or 'any class'}.",
            hint="Split the data otherwise, or give the weights explicitly in class order.",
        )
    return counts


def class_weights(
    request: LossRequest, loss: str, from_counts: Callable[[tuple[int, ...]], tuple[float, ...]]
) -> tuple[float, ...]:
    """Return the class weights that a request leads to.

    Args:
        request: The request; its `class_weights` is `"from_counts"` or one number a class.
        loss: The loss's name, for errors.
        from_counts: The loss's formula.

    Raises:
        DataError: The weights are to come from counts and a class has no training case.
        UsageError: Explicit weights are too few, too many, negative, not finite or all zero.
    """
    if wants_counts(request):
        with usage_errors(loss):
            return from_counts(class_counts(request))
    with usage_errors(loss):
        weights = weight_vector("class_weights", request.class_weights)
    if len(weights) != len(request.class_counts):
        raise UsageError(
            f"`class_weights` must be '{FROM_COUNTS}' or {len(request.class_counts)} numbers, one for each "
            f"of {', '.join(_names(request))}. Received: {len(weights)} numbers, {list(weights)}."
        )
    return weights


def wants_counts(request: LossRequest) -> bool:
    """Return whether the weights are to come from the training counts.

    Raises:
        UsageError: The request holds some other word.
    """
    given = request.class_weights
    if isinstance(given, str) and given != FROM_COUNTS:
        raise UsageError(
            f"`class_weights` must be '{FROM_COUNTS}' or one number a class in class order. "
            f"Received: '{given}'."
        )
    return isinstance(given, str)


def refuse_unused(
    request: LossRequest, loss: str, options: Mapping[str, Any], name: str, unused: Any
) -> None:
    """Refuse an option that shapes weights from counts where the weights are given explicitly.

    Args:
        request: The request.
        loss: The loss's name, for the error.
        options: The resolved options.
        name: The option.
        unused: Its value that asks for nothing.

    Raises:
        UsageError: It is set, and would have no effect.
    """
    if not wants_counts(request) and options[name] != unused:
        raise UsageError(
            f"Option `{name}` of loss '{loss}' shapes weights that come from counts; it must be {unused} "
            f"where `class_weights` are given. Received: {options[name]!r}.",
            hint=f"Set loss.options.{name}={unused}, or class_weights to '{FROM_COUNTS}'.",
        )


def _names(request: LossRequest) -> tuple[str, ...]:
    names = request.class_names or tuple(f"class {i}" for i in range(len(request.class_counts)))
    if len(names) != len(request.class_counts):
        raise DataError(
            f"`class_counts` must hold a number for each of {', '.join(names)}. "
            f"Received: {list(request.class_counts)}."
        )
    return names
