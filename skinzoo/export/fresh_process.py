"""Runs golden cases through a SavedModel with plain TensorFlow; started as a script, in a process of its own.

Nothing of skinzoo is imported here, and importing it is forbidden while this runs: an export must need
nothing but TensorFlow. The names are those of `skinzoo.export.names`, written out for the same reason.

Usage: python -c SOURCE FOLDER GOLDEN; prints JSON.
"""

import base64
import json
import sys
from typing import Any


class _Forbidden:
    """A finder that refuses skinzoo."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.split(".")[0] in ("skinzoo", "skinzoo_zoo"):
            raise ImportError(f"an export must load without '{name}'")


def main(folder: str, golden: str) -> None:
    """Print the answers of all signatures to the golden cases of a file."""
    sys.meta_path.insert(0, _Forbidden())
    import tensorflow as tf

    with open(golden, encoding="utf-8") as stream:  # noqa: PTH123 - pathlib would be the only use
        document = json.load(stream)
    loaded = tf.saved_model.load(folder)
    signatures = loaded.signatures
    images = [base64.b64decode(case["image"]) for case in document["cases"]]
    ages = [float("nan") if case["age"] is None else case["age"] for case in document["cases"]]
    texts = {key: [case[key].encode() for case in document["cases"]] for key in ("sex", "localization")}
    metadata = {
        "age": tf.constant(ages, tf.float32),
        **{key: tf.constant(values, tf.string) for key, values in texts.items()},
    }
    contents = tf.constant(images, tf.string)
    examples = [
        tf.train.Example(
            features=tf.train.Features(
                feature={
                    "image_bytes": _feature(tf, bytes_list=image),
                    "age": _feature(tf, float_list=age),
                    "sex": _feature(tf, bytes_list=sex),
                    "localization": _feature(tf, bytes_list=localization),
                }
            )
        ).SerializeToString()
        for image, age, sex, localization in zip(
            images, ages, texts["sex"], texts["localization"], strict=True
        )
    ]
    pixels = signatures["decode"](image_bytes=contents)["image"]
    served = signatures["serving_default"](image_bytes=contents, **metadata)
    answers = {
        "serving_default": served["probabilities"],
        "image_only": signatures["image_only"](image_bytes=contents)["probabilities"],
        "tensors": signatures["tensors"](image=pixels, **metadata)["probabilities"],
        "classify": signatures["classify"](inputs=tf.constant(examples))["scores"],
    }
    if "explain" in signatures:
        answers["explain"] = signatures["explain"](image_bytes=contents, **metadata)["probabilities"]
    if "features" in signatures:
        signatures["features"](image_bytes=contents, **metadata)
    json.dump(
        {
            "answers": {name: value.numpy().tolist() for name, value in answers.items()},
            "classes": [[one.decode() for one in row] for row in served["classes"].numpy().tolist()],
            "predicted_class": [one.decode() for one in served["predicted_class"].numpy().tolist()],
        },
        sys.stdout,
    )


def _feature(tf: Any, **values: Any) -> Any:
    ((kind, value),) = values.items()
    message = {"bytes_list": tf.train.BytesList, "float_list": tf.train.FloatList}[kind]
    return tf.train.Feature(**{kind: message(value=[value])})


if __name__ == "__main__":
    main(*sys.argv[1:])
