"""What age, sex and localization may be, and the one lookup from strings to indices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skinzoo.errors import did_you_mean

if TYPE_CHECKING:
    import numpy as np

OUT_OF_VOCABULARY = 0
UNKNOWN = "unknown"

AGE_RANGE = (0.0, 120.0)
"""Years."""
MISSING = frozenset({"", "nan", "na", "n/a", "none", "null", UNKNOWN})
"""Lower-case texts that mean unknown in a table."""
SEX_ABBREVIATIONS = {"f": "female", "m": "male"}


@dataclass(frozen=True)
class Vocabulary:
    """A fixed, ordered set of terms; index 0 is kept for whatever is not among them.

    Index i + 1 belongs to `terms[i]`. The empty string means `unknown`. Terms are compared after
    stripping ASCII white space and lowering ASCII letters, as TensorFlow's string operations do, so that
    this lookup and the one in an exported graph agree on every input.

    Args:
        name: The property's name, `sex` or `localization`.
        terms: The lower-case terms in index order; must contain `unknown`.
    """

    name: str
    terms: tuple[str, ...]

    def __post_init__(self) -> None:
        if UNKNOWN not in self.terms:
            raise ValueError(f"`terms` of vocabulary '{self.name}' must contain 'unknown'.")
        if len(set(self.terms)) != len(self.terms):
            raise ValueError(f"`terms` of vocabulary '{self.name}' must not repeat. Received: {self.terms}")
        if any(normalise(term) != term.encode() for term in self.terms):
            raise ValueError(f"`terms` of vocabulary '{self.name}' must be lower case without outer spaces.")

    @property
    def size(self) -> int:
        """Number of indices, the out-of-vocabulary one included."""
        return len(self.terms) + 1

    @property
    def unknown_index(self) -> int:
        """Index of `unknown`, which stands for a missing value."""
        return self.terms.index(UNKNOWN) + 1

    def table(self) -> dict[bytes, int]:
        """Return every normalised string that has an index of its own, the empty one included."""
        return {b"": self.unknown_index} | {term.encode(): i for i, term in enumerate(self.terms, start=1)}

    def indices(self, values: Iterable[object]) -> np.ndarray:
        """Look strings up.

        Args:
            values: Strings; None and NaN count as missing.

        Returns:
            int32 array of shape `(len(values),)`.
        """
        import numpy as np

        table = self.table()
        return np.array(
            [table.get(normalise(_text(value)), OUT_OF_VOCABULARY) for value in values], dtype=np.int32
        )


def canonical(text: str, abbreviations: Mapping[str, str]) -> str:
    """Return what a cell of a table says: lower case, single spaces, abbreviations written out."""
    text = " ".join(text.lower().split())
    return UNKNOWN if text in MISSING else abbreviations.get(text, text)


def normalise(text: str) -> bytes:
    """Return the form in which terms are compared."""
    return text.encode("utf-8", "surrogatepass").strip().lower()


def outside(name: str, text: str, terms: Sequence[str]) -> str | None:
    """Return what is to be said of a term that a model was not trained on; None where it was.

    Args:
        name: The property's name.
        text: What was given.
        terms: The model's vocabulary.
    """
    if normalise(text) in {b"", *(term.encode() for term in terms)}:
        return None
    hint = did_you_mean(text.strip(), terms)
    return (
        f"`{name}` '{text[:60]}' is outside the model's vocabulary, so the model takes it for a term that it "
        f"was not trained on.{f' {hint}' if hint else ''}"
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


SEX = Vocabulary("sex", ("female", "male", UNKNOWN))
LOCALIZATION = Vocabulary(
    "localization",
    (
        "abdomen",
        "acral",
        "back",
        "chest",
        "ear",
        "face",
        "foot",
        "genital",
        "hand",
        "lower extremity",
        "neck",
        "scalp",
        "trunk",
        UNKNOWN,
        "upper extremity",
    ),
)
