"""The set of random changes that Datta et al. (2021) and Nguyen et al. (2022) share."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

PAPERS: Mapping[str, Any] = MappingProxyType(
    {"horizontal_flip": True, "vertical_flip": True, "rotation": 180.0, "shift": 0.1, "zoom": 0.1}
)
