"""How a cluster's CPUs and GPUs are shared out among workers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from skinzoo.errors import UsageError

MOST_BY_DEFAULT = 4


@dataclass(frozen=True)
class Capacity:
    """What workers can have.

    Args:
        cores: CPUs of each machine, as Ray counts them.
        gpus: GPUs of all machines.
    """

    cores: tuple[int, ...]
    gpus: int = 0

    def workers(self, wanted: int | None) -> int:
        """Return the number of workers: that which is wanted, or one a core up to a few.

        Raises:
            UsageError: There are fewer CPUs.
        """
        most = sum(self.cores)
        if wanted is None:
            return max(1, len(self.cores), min(most, MOST_BY_DEFAULT))
        check_workers(wanted, most)
        return wanted

    def cores_each(self, workers: int) -> int:
        """Return the most CPUs that each worker can have with all of them at work at a time.

        Args:
            workers: At most as many as there are CPUs.
        """
        sizes = range(max(self.cores), 0, -1)
        return next(size for size in sizes if sum(cores // size for cores in self.cores) >= workers)

    def gpus_each(self, workers: int) -> float:
        """Return the share of a GPU that each worker has; workers may share one."""
        return 1 / math.ceil(workers / self.gpus) if self.gpus else 0.0


def capacity_of(ray: Any) -> Capacity:
    """Return what a cluster has.

    Args:
        ray: The module `ray`, connected.
    """
    found = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return Capacity(
        tuple(int(node["CPU"]) for node in found if node.get("CPU", 0) >= 1),
        int(sum(node.get("GPU", 0) for node in found)),
    )


def check_workers(workers: int, cores: int) -> None:
    """Check a number of workers.

    Raises:
        UsageError: It is not from 1 to the number of CPUs.
    """
    if not 1 <= workers <= cores:
        raise UsageError(
            f"--workers must be from 1 to {cores}, the number of CPU cores. Received: {workers}.",
            hint="Fewer workers have more cores each; together they use all.",
        )
