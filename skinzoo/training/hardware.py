"""What a training runs on: threads, devices, arithmetic, determinism, seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skinzoo.errors import UsageError, did_you_mean
from skinzoo.settings import HardwareSettings

if TYPE_CHECKING:
    import tensorflow as tf

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
_BFLOAT16_SINCE = (8, 0)
_FLOAT16_SINCE = (7, 0)


@dataclass(frozen=True)
class Hardware:
    """What was set up.

    Args:
        strategy: Distributes steps over devices.
        precision: `float32`, `bfloat16` or `float16`.
        devices: Names of the devices, as TensorFlow spells them, with the model where it is known.
        left_out: Names of devices that were wanted and are not used.
        workers: Processes that share each batch, each with devices of its own.
    """

    strategy: tf.distribute.Strategy
    precision: str
    devices: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    workers: int = 1

    @property
    def replicas(self) -> int:
        """Devices of this process that share each batch."""
        count: int = self.strategy.num_replicas_in_sync
        return count

    def describe(self) -> dict[str, Any]:
        """Return it for a run's files."""
        replicas = self.replicas * self.workers
        return {"devices": list(self.devices), "precision": self.precision, "replicas": replicas}


def set_up(settings: HardwareSettings, seed: int, *, single: bool = False) -> Hardware:
    """Set TensorFlow and Keras up for a training; before anything is built.

    Args:
        settings: The settings.
        seed: Seed of everything that is drawn.
        single: Whether to use the first of the devices alone.

    Raises:
        UsageError: A device that does not exist, or threads that can no longer be set.
    """
    import keras
    import tensorflow as tf

    if settings.threads:
        _set_threads(settings.threads)
    for device in tf.config.list_physical_devices("GPU"):
        # A process that has already used the GPU has settled this before.
        if tf.config.experimental.get_memory_growth(device) is not True:
            try:
                tf.config.experimental.set_memory_growth(device, True)
            except RuntimeError:
                break
    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)
    names = _devices(settings.devices)
    names, left_out = (names[:1], names[1:]) if single else (names, [])
    precision = settings.precision if settings.precision != "auto" else _fastest_precision(names)
    keras.config.set_dtype_policy(POLICIES[precision])
    if len(names) > 1:
        strategy: Any = tf.distribute.MirroredStrategy(names)
    elif names[0] == (_logical("GPU") or _logical("CPU"))[0]:
        strategy = tf.distribute.get_strategy()
    else:
        strategy = tf.distribute.OneDeviceStrategy(f"/{names[0]}")
    return Hardware(strategy, precision, tuple(_described(name) for name in names), tuple(left_out))


def restore_policy() -> None:
    """Set Keras back to float32, as everything but training expects it."""
    import keras

    keras.config.set_dtype_policy("float32")


def _set_threads(count: int) -> None:
    import tensorflow as tf

    threading = tf.config.threading
    if threading.get_intra_op_parallelism_threads() == count:
        return
    try:
        threading.set_intra_op_parallelism_threads(count)
        threading.set_inter_op_parallelism_threads(count)
    except RuntimeError as error:
        raise UsageError(
            f"`threads` must be set before TensorFlow has begun to work. Received: {count}.",
            hint="Use a process of its own for each training.",
        ) from error


def _logical(kind: str) -> list[str]:
    import tensorflow as tf

    # Where processes train together, each sees the devices of all; its own come first, under the same names.
    names = [device.name.rpartition("device:")[2] for device in tf.config.list_logical_devices(kind)]
    return list(dict.fromkeys(names))


def _devices(wanted: str) -> list[str]:
    gpus, cpus = _logical("GPU"), _logical("CPU")
    if wanted == "auto":
        return gpus or cpus[:1]
    if wanted == "one":
        return (gpus or cpus)[:1]
    names = [name.strip().upper() for name in wanted.split(",") if name.strip()]
    for name in names:
        if name not in gpus + cpus:
            raise UsageError(
                f"`hardware.devices` must be auto, one or names among {', '.join(gpus + cpus)}. "
                f"Received: '{name}'.",
                hint=did_you_mean(name, gpus + cpus),
            )
    if not names or len(set(names)) != len(names):
        raise UsageError(f"`hardware.devices` must name each device once. Received: '{wanted}'.")
    return names


def _details(name: str) -> dict[str, Any]:
    import tensorflow as tf

    kind, number = name.split(":")
    physical = tf.config.list_physical_devices(kind)
    if kind != "GPU" or int(number) >= len(physical):
        return {}
    details: dict[str, Any] = tf.config.experimental.get_device_details(physical[int(number)])
    return details


def _described(name: str) -> str:
    model = _details(name).get("device_name")
    return f"{name} ({model})" if model else name


def _fastest_precision(names: list[str]) -> str:
    capabilities = [_details(name).get("compute_capability") for name in names]
    if any(capability is None for capability in capabilities):
        # On CPU oneDNN runs float32 fastest for these networks; bfloat16 is emulated on most.
        return "float32"
    lowest = min(capability for capability in capabilities if capability is not None)
    return "bfloat16" if lowest >= _BFLOAT16_SINCE else "float16" if lowest >= _FLOAT16_SINCE else "float32"
