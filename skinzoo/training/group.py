"""Several processes that train one model: each takes its share of every batch, and gradients are added up.

The processes hold equal weights and make equal steps, so that only sums have to agree: of gradients at each
step, of metrics and batch statistics at an epoch's end, of the validation part's probabilities. The sums are
TensorFlow's collective operations, which work below Keras. `MultiWorkerMirroredStrategy` around a Keras 3
model does not (keras#20585), and is used here only to start them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

_GROUP_KEY = 1000
_LOST_AFTER = 1800.0
"""Seconds that a sum waits for a process that lives and does not come; a dead one is noticed at once."""


class Group:
    """One process that trains alone; what several do is `Workers`."""

    rank: int = 0
    """Number of this process, from 0."""
    size: int = 1
    """Number of processes."""
    stopping: bool = False
    """Whether one of them was asked to stop; all say so after the same step."""

    @property
    def chief(self) -> bool:
        """Whether this process writes the run's files."""
        return self.rank == 0

    def ask_to_stop(self) -> None:
        """Make all processes stop after the same step."""

    def stepped(self) -> None:
        """Take the end of a step."""

    def sharing(self, optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
        """Return the optimiser, which now takes the mean of all processes' gradients."""
        return optimizer

    def same(self, variables: list[Any]) -> None:
        """Give the variables the values that they have in the first process."""

    def add_up(self, variables: list[Any]) -> None:
        """Give the variables the sum of the values that they have in all processes."""

    def average(self, variables: list[Any]) -> None:
        """Give the variables the mean of the values that they have in all processes."""

    def put_together(self, rows: np.ndarray, total: int) -> np.ndarray:
        """Return all rows of a table of which each process has every `size`-th, from its rank on.

        Args:
            rows: This process's rows, `(n, columns)`.
            total: Rows of the whole table.
        """
        return rows


ALONE = Group()


class Workers(Group):
    """This process and others that `TF_CONFIG` names; made before TensorFlow has begun to work.

    Raises:
        RuntimeError: TensorFlow has begun to work already.
    """

    def __init__(self) -> None:
        import tensorflow as tf

        # It starts the server through which the processes reach each other.
        self._strategy = tf.distribute.MultiWorkerMirroredStrategy()
        resolver = self._strategy.cluster_resolver
        self.rank = int(resolver.task_id or 0)
        self.size = self._strategy.num_replicas_in_sync
        self._keys = 0
        self._functions: dict[Any, Any] = {}
        self._wish = tf.Variable(0.0, trainable=False, name="wish_to_stop")
        self._wishes = tf.Variable(0.0, trainable=False, name="wishes_to_stop")

    def ask_to_stop(self) -> None:
        """Make all processes stop after the same step: the wish travels with the next gradients."""
        self._wish.assign(1.0)

    def stepped(self) -> None:
        """Take the end of a step."""
        self.stopping = float(self._wishes) > 0

    def sharing(self, optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
        """Return the optimiser, which now takes the mean of all processes' gradients.

        The mean is taken before gradients are clipped, as on one device.
        """
        group, apply = self, optimizer.apply

        def shared(gradients: list[Any], trainable_variables: list[Any] | None = None) -> None:
            apply(group._mean(gradients), trainable_variables)

        optimizer.apply = shared
        return optimizer

    def same(self, variables: list[Any]) -> None:
        """Give the variables the values that they have in the first process."""
        for variable in variables:
            value = np.asarray(variable)
            variable.assign(self._summed(value if self.chief else np.zeros_like(value)))

    def add_up(self, variables: list[Any]) -> None:
        """Give the variables the sum of the values that they have in all processes."""
        for variable in variables:
            variable.assign(self._summed(np.asarray(variable)))

    def average(self, variables: list[Any]) -> None:
        """Give the variables the mean of the values that they have in all processes."""
        for variable in variables:
            variable.assign(self._summed(np.asarray(variable)) / self.size)

    def put_together(self, rows: np.ndarray, total: int) -> np.ndarray:
        """Return all rows of a table of which each process has every `size`-th, from its rank on."""
        table = np.zeros((total, *rows.shape[1:]), rows.dtype)
        table[self.rank :: self.size] = rows
        return self._summed(table)

    def _mean(self, gradients: list[Any]) -> list[Any]:
        import tensorflow as tf

        gradients = [tf.convert_to_tensor(one) for one in gradients]
        flat = [tf.reshape(tf.cast(one, tf.float32), [-1]) for one in gradients]
        added = self._added(tf.concat([*flat, self._wish[tf.newaxis]], 0))
        self._wishes.assign(added[-1])
        sizes = [one.shape[0] for one in flat]
        parts = tf.split(added[:-1] / self.size, sizes)
        return [
            tf.cast(tf.reshape(part, one.shape), one.dtype)
            for part, one in zip(parts, gradients, strict=True)
        ]

    def _summed(self, value: np.ndarray) -> np.ndarray:
        import tensorflow as tf

        # Collectives take neither unsigned integers, as in the state of random generators, nor scalars.
        flat = value.astype(np.int64 if value.dtype.kind in "ui" else value.dtype).reshape(-1)
        key = (flat.shape, flat.dtype.str)
        if key not in self._functions:
            self._functions[key] = tf.function(self._adding())
        added: np.ndarray = self._functions[key](tf.constant(flat)).numpy()
        return added.astype(value.dtype).reshape(value.shape)

    def _adding(self) -> Any:
        self._keys += 1
        key = self._keys

        def add(value: tf.Tensor) -> tf.Tensor:
            import tensorflow as tf

            return tf.raw_ops.CollectiveReduceV2(
                input=value,
                group_size=self.size,
                group_key=_GROUP_KEY,
                # The same in all processes, as they compile the same sums in the same order.
                instance_key=key,
                ordering_token=[],
                merge_op="Add",
                final_op="Id",
                communication_hint="auto",
                timeout_seconds=_LOST_AFTER,
            )

        return add

    def _added(self, value: tf.Tensor) -> tf.Tensor:
        return self._adding()(value)
