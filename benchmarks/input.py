"""How fast images come: building the cache, reading it with augmentation, and the memory that takes.

    python benchmarks/input.py                   # all 10,015 images of HAM10000; some minutes
    python benchmarks/input.py --limit 1000

Reads HAM10000 from `data/ham10000` of $SKINZOO_TEST_SHARED, or of `../shared`. Contestants take turns, and
medians of the rounds are compared, so that what else the machine does falls on all of them alike.

* Building: `cached_images` to disk, against a bare loop of `tf.io.decode_jpeg` and `tf.image.resize` with
  their defaults and as many threads, which keeps nothing. Target: at least 0.8 of the bare loop.
* Reading: our pipeline from the cache with the papers' augmentation, against Keras's own
  `image_dataset_from_directory` on the same files with the same augmentation by Keras's layers. Target: at
  least 5 times what MobileNetV3Large trains on this machine's kind, about 22 images a second.
* Memory: private memory (Private_Clean + Private_Dirty of /proc/self/smaps_rollup) of a fresh process that
  builds the cache and reads it for an epoch, beyond what it had after one trivial `tf.data` run. Target:
  below 1 GiB.

The table is printed and written to docs/results/benchmarks/input.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from record import RESULTS, ROOT, write_result

from skinzoo.data.augment import PAPERS
from skinzoo.data.cache import cached_images
from skinzoo.data.decode import Decoding
from skinzoo.data.order import Shuffled
from skinzoo.data.pipeline import InputPipeline
from skinzoo.data.read import read_dataset

SIZE = 224
BATCH = 32
TRAINING_RATE = 22.0
PACKAGES = ("skinzoo", "tensorflow", "keras", "numpy", "pandas", "pillow")


def cores() -> int:
    return len(os.sched_getaffinity(0))


def table_of(limit: int | None):
    shared = Path(os.environ.get("SKINZOO_TEST_SHARED", ROOT.parent / "shared"))
    table = read_dataset(shared / "data" / "ham10000")
    return table if limit is None else table.sample(limit, random_state=0).sort_index().reset_index(drop=True)


class Watch:
    """Images a second by the clock, and the processor's microseconds for each image.

    The second number leaves out what other work on the machine takes.
    """

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def stop(self, images: int) -> tuple[float, float]:
        """Return both numbers for what was done since the start."""
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return images / wall, cpu / images * 1e6


def bare_loop(table) -> tuple[float, float]:
    """Decode and resize by TensorFlow's defaults, counted inside TensorFlow."""
    import tensorflow as tf

    def load(path):
        return tf.image.resize(tf.io.decode_jpeg(tf.io.read_file(path), channels=3), (SIZE, SIZE))

    dataset = tf.data.Dataset.from_tensor_slices(list(table["image_path"]))
    dataset = dataset.map(load, num_parallel_calls=cores(), deterministic=False)
    watch = Watch()
    return watch.stop(int(dataset.reduce(0, lambda total, image: total + 1)))


def build(table, folder: Path, *, in_memory: bool = False) -> tuple[float, float]:
    with tempfile.TemporaryDirectory(dir=folder) as empty:
        watch = Watch()
        return watch.stop(len(cached_images(table, Decoding(size=SIZE), folder=empty, in_memory=in_memory)))


def rate(dataset, batches: int) -> float:
    """Return the images a second of some batches after the first few."""
    iterator = iter(dataset)
    for _ in range(4):
        next(iterator)
    start = time.perf_counter()
    for _ in range(batches):
        next(iterator)
    return batches * BATCH / (time.perf_counter() - start)


def ours(table, cache, augmentation):
    return InputPipeline(
        table,
        cache,
        classes=table.attrs["classes"],
        batch_size=BATCH,
        order=Shuffled(len(table), 0),
        augmentation=augmentation,
    ).epochs()


def keras_pipeline(folder: Path):
    """Return `image_dataset_from_directory` with the papers' augmentation, as Keras's guides write it."""
    import keras
    import tensorflow as tf

    dataset = keras.utils.image_dataset_from_directory(
        folder, label_mode="categorical", batch_size=BATCH, image_size=(SIZE, SIZE), seed=0, verbose=False
    )
    augmentation = keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal_and_vertical"),
            keras.layers.RandomRotation(0.5, fill_mode="nearest"),
            keras.layers.RandomTranslation(0.1, 0.1, fill_mode="nearest"),
            keras.layers.RandomZoom(0.1, 0.1, fill_mode="nearest"),
        ]
    )
    auto = tf.data.AUTOTUNE
    dataset = dataset.repeat()
    return dataset.map(lambda x, y: (augmentation(x, training=True), y), num_parallel_calls=auto).prefetch(
        auto
    )


def class_folders(table, folder: Path) -> Path:
    for label, path in zip(table["label"], table["image_path"], strict=True):
        (folder / label).mkdir(parents=True, exist_ok=True)
        (folder / label / Path(path).name).symlink_to(path)
    return folder


def private_bytes() -> int:
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def peak_of(work: Callable[[], object]) -> int:
    """Return the most private memory seen while something runs, looked at 20 times a second."""
    seen, done = [private_bytes()], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            seen.append(private_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return max(*seen, private_bytes())


def memory_probe(limit: int | None, folder: str) -> dict[str, int]:
    """Build and read in this process, and report its private memory."""
    import tensorflow as tf

    for _ in tf.data.Dataset.range(100).map(lambda x: x + 1, num_parallel_calls=cores()).batch(10):
        pass
    table = table_of(limit)
    baseline = private_bytes()
    building = peak_of(lambda: cached_images(table, Decoding(size=SIZE), folder=folder))
    cache = cached_images(table, Decoding(size=SIZE), folder=folder)

    def read(augmentation):
        steps = -(-len(table) // BATCH)
        for _ in ours(table, cache, augmentation).take(steps):
            pass

    return {
        "tensorflow_itself": baseline,
        "building": building - baseline,
        "one_epoch_plain": peak_of(lambda: read(None)) - baseline,
        "one_epoch_papers": peak_of(lambda: read(PAPERS)) - baseline,
        "cache_file": (cache.path / "images.npy").stat().st_size,
    }


def probed(limit: int | None, folder: Path) -> dict[str, int]:
    command = [sys.executable, __file__, "--memory-probe", str(folder)]
    command += ["--limit", str(limit)] if limit else []
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def summary(rates: list[float]) -> dict[str, float]:
    return {
        "images_per_second": round(statistics.median(rates), 1),
        "least": round(min(rates), 1),
        "most": round(max(rates), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--limit", type=int, help="images to use (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contestant (default: 5)")
    parser.add_argument("--batches", type=int, default=60, help="batches read in a turn (default: 60)")
    parser.add_argument("--folder", type=Path, help="where temporary caches go (default: the system's)")
    parser.add_argument("--output", type=Path, default=RESULTS / "input.json")
    parser.add_argument("--memory-probe", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_probe:
        print(json.dumps(memory_probe(options.limit, options.memory_probe)))
        return
    load = os.getloadavg()[0]
    table = table_of(options.limit)
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folder = Path(temporary)
        bare_loop(table)
        builders = {
            "bare loop": lambda: bare_loop(table),
            "cache on disk": lambda: build(table, folder),
            "cache in memory": lambda: build(table, folder, in_memory=True),
        }
        built: dict[str, list[tuple[float, float]]] = {name: [] for name in builders}
        for _ in range(options.rounds):
            for name, builder in builders.items():
                built[name].append(builder())
        building = {name: [rate for rate, _ in pairs] for name, pairs in built.items()}
        processor = {name: statistics.median(cpu for _, cpu in pairs) for name, pairs in built.items()}
        cache = cached_images(table, Decoding(size=SIZE), folder=folder / "cache")
        contestants = {
            "skinzoo, papers' augmentation": ours(table, cache, PAPERS),
            "skinzoo, no augmentation": ours(table, cache, None),
            "image_dataset_from_directory, same augmentation": keras_pipeline(
                class_folders(table, folder / "by_class")
            ),
        }
        reading: dict[str, list[float]] = {contestant: [] for contestant in contestants}
        for _ in range(options.rounds):
            for contestant, dataset in contestants.items():
                reading[contestant].append(rate(dataset, options.batches))
        memory = probed(options.limit, folder / "probe")

    bare, cached, _ = (statistics.median(rates) for rates in building.values())
    papers, _, keras_rate = (statistics.median(rates) for rates in reading.values())
    beyond = max(memory["building"], memory["one_epoch_plain"], memory["one_epoch_papers"])
    ratios = {
        "building_to_bare_loop": round(cached / bare, 3),
        "building_to_bare_loop_by_processor_time": round(
            processor["bare loop"] / processor["cache on disk"], 3
        ),
        "reading_to_training": round(papers / TRAINING_RATE, 2),
        "reading_to_keras": round(papers / keras_rate, 2),
        "private_gib_beyond_tensorflow": round(beyond / 2**30, 3),
    }
    result = {
        "images": len(table),
        "size": SIZE,
        "rounds": options.rounds,
        "building": {contestant: summary(rates) for contestant, rates in building.items()},
        "building_processor_us_per_image": {name: round(value, 1) for name, value in processor.items()},
        "reading": {contestant: summary(rates) for contestant, rates in reading.items()},
        "memory_bytes": memory,
        "ratios": ratios,
    }
    for group in (building, reading):
        for contestant, rates in group.items():
            span = f"({min(rates):.0f} to {max(rates):.0f})"
            print(f"{contestant:50} {statistics.median(rates):8.0f} images/s  {span}")
    print(f"building / bare loop         {ratios['building_to_bare_loop']:7.2f}   target 0.8")
    by_processor = ratios["building_to_bare_loop_by_processor_time"]
    print(f"the same by processor time   {by_processor:7.2f}")
    print(f"reading / training at 22 a s {ratios['reading_to_training']:7.2f}   target 5")
    print(f"reading / Keras's pipeline   {ratios['reading_to_keras']:7.2f}")
    print(f"private GiB beyond TensorFlow {beyond / 2**30:6.2f}   target below 1")
    write_result(options.output, result, packages=PACKAGES, load=load)


if __name__ == "__main__":
    main()
