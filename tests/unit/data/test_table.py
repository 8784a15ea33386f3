"""The canonical table: types, rules, bad rows, fingerprints."""

from __future__ import annotations

import shutil
import time

import numpy as np
import pandas as pd
import pytest

from skinzoo.data.table import (
    COLUMNS,
    FEATURES,
    cases_digest,
    check_table,
    class_counts,
    fingerprint,
    lesion_count,
    make_table,
)
from skinzoo.errors import DataError

CLASSES = ("mel", "nv")


@pytest.fixture
def rows(tmp_path):
    folder = tmp_path / "Bilder mit Leerzeichen äöü 皮膚"
    folder.mkdir()
    paths = []
    for number in range(4):
        path = folder / f"i{number}.jpg"
        path.write_bytes(b"x" * (number + 1))
        paths.append(str(path))
    return {
        "image_path": paths,
        "image_id": ["i0", "i1", "i2", "i3"],
        "lesion_id": ["a", "a", "b", ""],
        "label": ["mel", "mel", "nv", "nv"],
        "age": ["45", "", "unknown", "0.0"],
        "sex": ["Female", "M", "", "unknown"],
        "localization": ["Lower  Extremity", "back", "NaN", ""],
    }


def make(rows, **options):
    return make_table(rows, dataset="mine", classes=CLASSES, **options)


def test_types_terms_and_missing_values(rows):
    table = make(rows)
    assert tuple(table.columns) == COLUMNS
    assert table["age"].dtype == np.float64
    np.testing.assert_array_equal(table["age"], [45.0, np.nan, np.nan, 0.0])
    assert table["sex"].tolist() == ["female", "male", "unknown", "unknown"]
    assert table["localization"].tolist() == ["lower extremity", "back", "unknown", "unknown"]
    assert set(table["confirmation"]) == set(table["part"]) == {""}
    assert set(table["dataset"]) == {"mine"}
    assert table.attrs == {"dataset": "mine", "classes": CLASSES, "left_out": [], "notes": []}
    assert class_counts(table) == {"mel": 2, "nv": 2}
    assert lesion_count(table) == 2


def test_features_hold_nothing_that_gives_the_class_away():
    assert FEATURES == ("age", "sex", "localization")


def test_missing_values_of_pandas_count_as_missing(rows):
    frame = pd.DataFrame(rows)
    frame["age"] = [45.0, None, float("nan"), pd.NA]
    frame.loc[0, "sex"] = None
    table = make(frame)
    np.testing.assert_array_equal(table["age"], [45.0, np.nan, np.nan, np.nan])
    assert table["sex"].iat[0] == "unknown"


BAD = {
    "label": (1, "xyz", "`label` must be one of mel, nv", "'i1'"),
    "age": (2, "-1", "within 0..120", "'i2'"),
    "sex": (0, "other", "`sex` must be one of", "'i0'"),
    "localization": (3, "elbow", "`localization` must be one of", "'i3'"),
    "image_id": (1, "", "`image_id` must not be empty", "row 2"),
    "image_path": (1, "nowhere.jpg", "must have an image file", "'i1'"),
    "part": (2, "holdout", "`part` must be one of", "'i2'"),
}


@pytest.mark.parametrize("column", BAD)
def test_bad_row_is_an_error_that_names_image_and_remedy(rows, column):
    position, value, rule, image = BAD[column]
    rows.setdefault(column, [""] * 4)[position] = value
    with pytest.raises(DataError) as caught:
        make(rows)
    assert rule in caught.value.message
    assert image in caught.value.message
    assert "--skip-bad" in caught.value.hint
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("column", BAD)
def test_bad_row_is_left_out_and_listed_when_asked(rows, column):
    position, value, rule, _ = BAD[column]
    rows.setdefault(column, [""] * 4)[position] = value
    table = make(rows, skip_bad=True)
    assert len(table) == 3
    assert table.index.tolist() == [0, 1, 2]
    (entry,) = table.attrs["left_out"]
    assert set(entry) == {"image_id", "path", "reason"}
    assert rule in entry["reason"]


@pytest.mark.parametrize("age", ["-5", "200", "120.5", "inf", "forty"])
def test_impossible_ages(rows, age):
    rows["age"][2] = age
    with pytest.raises(DataError, match="`age` must be a number of years"):
        make(rows)
    assert len(make(rows, skip_bad=True)) == 3


@pytest.mark.parametrize("age", ["0", "120", " 45 ", "N/A", "None"])
def test_possible_ages(rows, age):
    rows["age"][2] = age
    assert len(make(rows)) == 4


def test_duplicate_ids_that_agree_keep_the_first(rows):
    rows["image_id"][1] = "i0"
    with pytest.raises(DataError, match=r"`image_id` must be unique. Received: 'i0' in 2 rows"):
        make(rows)
    table = make(rows, skip_bad=True)
    assert table["image_id"].tolist() == ["i0", "i2", "i3"]
    assert len(table.attrs["left_out"]) == 1


def test_duplicate_ids_that_disagree_keep_none(rows):
    rows["image_id"][2] = "i0"
    table = make(rows, skip_bad=True)
    assert table["image_id"].tolist() == ["i1", "i3"]
    assert all("different labels" in entry["reason"] for entry in table.attrs["left_out"])


def test_all_reasons_of_a_row_are_listed_and_others_counted(rows):
    rows["age"][1], rows["label"][1], rows["age"][2] = "-1", "naevus", "200"
    with pytest.raises(DataError, match=r"\(1 more rows break a rule.\)"):
        make(rows)
    table = make(rows, skip_bad=True)
    reasons = {entry["image_id"]: entry["reason"] for entry in table.attrs["left_out"]}
    assert set(reasons) == {"i1", "i2"}
    assert "age" in reasons["i1"] and "label" in reasons["i1"]


def test_near_label_is_suggested(rows):
    rows["label"][0] = "mell"
    with pytest.raises(DataError, match="did you mean 'mel'"):
        make(rows)


def test_no_row_left_is_an_error_even_when_skipping(rows):
    rows["label"] = ["a", "b", "c", "d"]
    with pytest.raises(DataError, match="at least one usable row"):
        make(rows, skip_bad=True)


def test_missing_columns_are_named(rows):
    del rows["label"]
    with pytest.raises(DataError, match="must have the columns image_path, image_id, label"):
        make(rows)


def test_check_accepts_what_make_returns_and_refuses_wrong_types(rows):
    table = make(rows)
    assert check_table(table) is table
    with pytest.raises(DataError, match="`age` must be float64"):
        check_table(table.assign(age="45"))
    with pytest.raises(DataError, match="`sex` must hold strings"):
        check_table(table.assign(sex=pd.Series([1, 2, 3, 4], dtype=object)))
    with pytest.raises(DataError, match="Missing: part"):
        check_table(table.drop(columns="part"))
    bare = table.copy()
    bare.attrs = {}
    with pytest.raises(DataError, match="attrs\\['dataset'\\]"):
        check_table(bare)


def test_fingerprint_knows_cases_and_files_but_not_their_folder_or_order(rows, tmp_path):
    table = make(rows)
    mark = fingerprint(table)
    assert len(mark) == 64
    shuffled = table.iloc[::-1].reset_index(drop=True)
    assert fingerprint(shuffled) == mark

    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "Bilder mit Leerzeichen äöü 皮膚", elsewhere)
    moved = make({**rows, "image_path": [str(elsewhere / f"i{n}.jpg") for n in range(4)]})
    assert fingerprint(moved) == mark

    for column, value in (("label", "nv"), ("lesion_id", "z"), ("age", "46"), ("sex", "male")):
        other = make({**rows, column: [value, *rows[column][1:]]})
        assert fingerprint(other) != mark
    (elsewhere / "i0.jpg").write_bytes(b"longer")
    assert fingerprint(moved) != mark
    assert cases_digest(moved) == cases_digest(table)


def test_fingerprint_of_a_missing_file_is_an_error(rows, tmp_path):
    table = make(rows)
    (tmp_path / "Bilder mit Leerzeichen äöü 皮膚" / "i2.jpg").unlink()
    with pytest.raises(DataError, match="image file of 'i2' must exist"):
        fingerprint(table)


@pytest.mark.realdata
def test_fingerprint_of_ham10000_is_cheap(ham10000):
    from skinzoo.data.read import read_dataset

    table = read_dataset(ham10000)
    start = time.perf_counter()
    assert fingerprint(table) == fingerprint(table)
    assert (time.perf_counter() - start) / 2 < 3
