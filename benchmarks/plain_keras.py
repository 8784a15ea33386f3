"""The bar to beat: a plain Keras script, without skinzoo, on the test part of `--protocol lesion --seed 0`.

MobileNetV2 at 160 pixels (squashed), Adam 3e-4 with cosine over 8 epochs, batch 32, momentum 0.9 in batch
normalisation, square-root class weights, flips only, Dense 64 on the metadata, dropout 0.3. It trains on all
nine other folds, and the test part is scored after each epoch.

    python benchmarks/plain_keras.py --data DATA/ham10000 --weights FILE --to docs/results/plain_keras
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from PIL import Image
from record import write_result
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

SIZE, EPOCHS, BATCH, LEARNING_RATE, SPLIT_SEED = 160, 8, 32, 3e-4, 0
PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "pillow", "pandas")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and augmentation")
    parser.add_argument("--to", type=Path, required=True, help="folder of the result and the predictions")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    keras.utils.set_random_seed(arguments.seed)
    table = read(arguments.data)
    classes = sorted(table["dx"].unique())
    labels = table["dx"].map(classes.index).to_numpy()
    folds = StratifiedGroupKFold(10, shuffle=True, random_state=SPLIT_SEED)
    train, test = next(iter(folds.split(labels, labels, table["lesion_id"])))
    images = np.stack([pixels(path) for path in table["path"]])
    facts = metadata(table, train)
    steps = -(-len(train) // BATCH)
    model = build(facts.shape[1], len(classes), arguments.weights, steps * arguments.epochs)
    counts = np.bincount(labels[train])
    weights = np.sqrt(len(train) / (len(classes) * counts))

    def dataset(rows: np.ndarray, training: bool) -> tf.data.Dataset:
        found = tf.data.Dataset.from_tensor_slices(rows)
        if training:
            found = found.shuffle(len(rows), seed=arguments.seed)
        found = found.batch(BATCH).map(
            lambda chosen: tf.numpy_function(
                lambda i: (images[i], facts[i], labels[i]), [chosen], (tf.uint8, tf.float32, tf.int64)
            )
        )

        def shaped(image: tf.Tensor, fact: tf.Tensor, label: tf.Tensor) -> tuple:
            image = tf.ensure_shape(tf.cast(image, tf.float32), (None, SIZE, SIZE, 3)) / 127.5 - 1.0
            if training:
                image = tf.map_fn(
                    lambda one: tf.image.random_flip_up_down(tf.image.random_flip_left_right(one)), image
                )
            inputs = (image, tf.ensure_shape(fact, (None, facts.shape[1])))
            return inputs, tf.ensure_shape(label, (None,))

        return found.map(shaped, num_parallel_calls=2).prefetch(2)

    seconds, rows, answers = 0.0, [], np.empty((0, 0))
    for epoch in range(arguments.epochs):
        began = time.perf_counter()
        model.fit(dataset(train, True), class_weight=dict(enumerate(weights)), verbose=0)
        seconds += time.perf_counter() - began
        answers = model.predict(dataset(test, False), verbose=0)
        rows.append(
            {"epoch": epoch + 1, "training_seconds": round(seconds, 1), **score(labels[test], answers)}
        )
        print(rows[-1], flush=True)
    arguments.to.mkdir(parents=True, exist_ok=True)
    predictions = pd.DataFrame(
        {"image_id": table["image_id"].to_numpy()[test], "lesion_id": table["lesion_id"].to_numpy()[test]}
    )
    predictions["true"] = table["dx"].to_numpy()[test]
    predictions = pd.concat([predictions, pd.DataFrame(normalised(answers), columns=classes)], axis=1)
    predictions.to_csv(arguments.to / "predictions.csv", index=False)
    results = {"train": len(train), "test": len(test), "seed": arguments.seed, "epochs": rows}
    write_result(arguments.to / "result.json", results, packages=PACKAGES, load=load)


def read(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(folder / "HAM10000_metadata.csv")
    paths = {path.stem: path for path in folder.rglob("*.jpg")}
    # The order of rows decides what the folds are: that of the image ids.
    table = table.sort_values("image_id", ignore_index=True)
    return table.assign(path=table["image_id"].map(paths))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR))


def metadata(table: pd.DataFrame, train: np.ndarray) -> np.ndarray:
    age = table["age"].to_numpy(np.float32)
    known = age[train]
    age = np.nan_to_num((age - np.nanmean(known)) / np.nanstd(known))
    return np.concatenate(
        [age[:, None], pd.get_dummies(table[["sex", "localization"]]).to_numpy(np.float32)], axis=1
    ).astype(np.float32)


def build(facts: int, classes: int, weights: Path, steps: int) -> keras.Model:
    backbone = keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(SIZE, SIZE, 3), pooling="avg"
    )
    backbone.load_weights(weights)
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9
    image, fact = keras.Input((SIZE, SIZE, 3)), keras.Input((facts,))
    x = keras.layers.Concatenate()([backbone(image), keras.layers.Dense(64, activation="relu")(fact)])
    x = keras.layers.Dropout(0.3)(x)
    model = keras.Model([image, fact], keras.layers.Dense(classes, activation="softmax")(x))
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)),
        "sparse_categorical_crossentropy",
    )
    return model


def score(labels: np.ndarray, answers: np.ndarray) -> dict[str, float]:
    best = answers.argmax(axis=1)
    areas = [roc_auc_score(labels == one, answers[:, one]) for one in range(answers.shape[1])]
    return {
        "accuracy": float((best == labels).mean()),
        "balanced_accuracy": float(balanced_accuracy_score(labels, best)),
        "macro_f1": float(f1_score(labels, best, average="macro")),
        "roc_auc_macro": float(np.mean(areas)),
    }


def normalised(answers: np.ndarray) -> np.ndarray:
    answers = answers.astype(np.float64)
    return answers / answers.sum(axis=1, keepdims=True)


if __name__ == "__main__":
    main()
