"""Checks of numbers that a user may have written; free of Keras."""

from collections.abc import Iterable
from math import inf, isfinite
from numbers import Real

# Keeps powers of class shares finite; the papers use 1 and 1.1.
MOST_POWER = 10.0


def number(name: str, value: object, *, least: float = -inf, most: float = inf) -> float:
    """Return a finite number between two bounds, which are allowed themselves.

    Args:
        name: What to call it in the error.
        value: What came.
        least: Lower bound.
        most: Upper bound.

    Raises:
        ValueError: It is no number, not finite or out of bounds.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"`{name}` must be a number. Received: {value!r}")
    if not isfinite(value) or not least <= float(value) <= most:
        bounds = [f"at least {least:g}"] * isfinite(least) + [f"at most {most:g}"] * isfinite(most)
        raise ValueError(f"`{name}` must be finite{', '.join(['', *bounds])}. Received: {value!r}")
    return float(value)


def epoch_number(name: str, value: object) -> int:
    """Return a whole number that is not negative.

    Raises:
        ValueError: It is something else.
    """
    if int(number(name, value, least=0)) != value:
        raise ValueError(f"`{name}` must be a whole number. Received: {value!r}")
    return int(value)


def weight_vector(name: str, values: object) -> tuple[float, ...]:
    """Return non-negative, finite weights of which at least one is positive.

    Args:
        name: What to call it in the error.
        values: One number a class, in class order.

    Raises:
        ValueError: They are something else.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise ValueError(f"`{name}` must be a list of numbers. Received: {values!r}")
    weights = tuple(number(f"{name}[{i}]", value, least=0) for i, value in enumerate(values))
    if not any(weights):
        raise ValueError(f"`{name}` must hold a positive number. Received: {list(weights)}")
    return weights
