"""What executes a SavedModel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Engine(Protocol):
    """Executes the signatures of one version; called from many threads at once."""

    def run(self, signature: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return all outputs of a signature.

        Args:
            signature: A name that the SavedModel has.
            inputs: Input name to array or tensor, of the right names, types and shapes.

        Raises:
            RpcError: The request cannot be run.
        """

    def close(self) -> None:
        """Give back what it holds; nothing runs any more."""
