"""The canonical table of cases: one row an image.

| column | type | meaning |
|---|---|---|
| `image_path` | str | absolute path of the image file |
| `image_id` | str | unique id of the image |
| `lesion_id` | str | id of the lesion, or of the patient where lesions carry none; `""` where the data have neither |
| `label` | str | class name, one of the dataset's classes |
| `age` | float64 | years; NaN = unknown |
| `sex` | str | canonical term; `unknown` where missing |
| `localization` | str | canonical term of the site of the lesion on the body; `unknown` where missing |
| `confirmation` | str | how the diagnosis was made (`histo`, `follow_up`, ...); `""` where not stated; never a feature |
| `dataset` | str | name of the dataset |
| `part` | str | official part (`train`, `validation`, `test`); `""` where the dataset has none |

Row order is the order of the dataset's own table. `DataFrame.attrs` holds `dataset` (its name), `classes`
(tuple of class names in order), `left_out` (list of dicts with `image_id`, `path`, `reason`) and `notes` (how the
data differ from the publication, a list of sentences).
"""

from __future__ import annotations

COLUMNS: tuple[str, ...] = (
    "image_path",
    "image_id",
    "lesion_id",
    "label",
    "age",
    "sex",
    "localization",
    "confirmation",
    "dataset",
    "part",
)
FEATURES: tuple[str, ...] = ("age", "sex", "localization")
AGE_RANGE = (0.0, 120.0)
