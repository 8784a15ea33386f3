"""What a client knows of the model that answers it."""

from __future__ import annotations

from dataclasses import dataclass

from skinzoo.export.card import Card


@dataclass(frozen=True, kw_only=True)
class Model:
    """The model behind a server.

    Args:
        name: Its name.
        version: Its version; 0 where it has none.
        classes: Class names in the order of the probabilities.
        sex: Vocabulary of sex; empty where the server does not tell, and then nothing is checked against it.
        localization: Vocabulary of localization; empty likewise.
        image_size: Height and width of the square that it sees, in pixels; 0 where the server does not tell.
        has_calibration: Whether results carry calibrated probabilities.
        has_attention: Whether `explain` works.
        card: The export's card; None where the server does not give it.
    """

    name: str
    version: int
    classes: tuple[str, ...]
    sex: tuple[str, ...] = ()
    localization: tuple[str, ...] = ()
    image_size: int = 0
    has_calibration: bool = False
    has_attention: bool = False
    card: Card | None = None

    def __str__(self) -> str:
        return f"{self.name}/{self.version}" if self.version else self.name
