"""Formulas from training counts to class weights; free of Keras."""

from collections.abc import Sequence


def balanced(counts: Sequence[int], power: float = 1.0) -> tuple[float, ...]:
    """Return `(N / (C N_c))^power` (King and Zeng 2001; Nguyen et al. 2022, Eq. 3-4)."""
    return tuple((sum(counts) / (len(counts) * count)) ** power for count in counts)


def inverse_share(counts: Sequence[int], power: float = 1.0) -> tuple[float, ...]:
    """Return `(N / N_c)^power`, the inverse of the class share (Gessert et al. 2020)."""
    return tuple((sum(counts) / count) ** power for count in counts)


def normalised_inverse(counts: Sequence[int]) -> tuple[float, ...]:
    """Return `(1 / N_c) / sum_j (1 / N_j)`, which sums to 1."""
    total = sum(1 / count for count in counts)
    return tuple(1 / count / total for count in counts)


def inverse_power(counts: Sequence[int], power: float) -> tuple[float, ...]:
    """Return `(1 / N_c)^power` (Yao et al. 2022)."""
    return tuple((1 / count) ** power for count in counts)
