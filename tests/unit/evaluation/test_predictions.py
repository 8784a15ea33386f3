import numpy as np
import pandas as pd
import pytest

from skinzoo.errors import DataError
from skinzoo.evaluation.predictions import make_predictions, per_lesion, read_predictions, write_predictions


def rows(**changes):
    table = {
        "image_id": ["a", "b", "c"],
        "lesion_id": ["L1", "L1", "L2"],
        "true": ["nv", "nv", "mel"],
        "mel": ["0.1", "0.3", "0.9"],
        "nv": ["0.9", "0.7", "0.1"],
    }
    table.update(changes)
    return {name: values for name, values in table.items() if values is not None}


def csv(tmp_path, table):
    path = tmp_path / "predictions.csv"
    pd.DataFrame(table).to_csv(path, index=False)
    return path


def test_a_csv_file_is_read(tmp_path):
    found = read_predictions(csv(tmp_path, rows(age=["50", "", "61.5"], sex=["male", "female", ""])))
    assert found.classes == ("mel", "nv")
    assert found.true.tolist() == [1, 1, 0]
    assert found.predicted.tolist() == [1, 1, 0]
    np.testing.assert_allclose(found.probabilities, [[0.1, 0.9], [0.3, 0.7], [0.9, 0.1]])
    assert found.units.tolist() == [0, 0, 1]
    assert found.facts["age"].isna().tolist() == [False, True, False]
    assert found.facts["sex"].tolist() == ["male", "female", ""]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_is_written_is_read_back_digit_for_digit(tmp_path, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.dirichlet(np.ones(3), 50), columns=["x", "y", "z"])
    table["image_id"] = [f"i{i}" for i in range(50)]
    table["true"] = rng.choice(["x", "y", "z"], 50)
    table["age"] = np.where(np.arange(50) % 3 == 0, np.nan, 40.0)
    before = make_predictions(table)
    path = tmp_path / f"p{suffix}"
    write_predictions(before, path)
    after = read_predictions(path)
    assert after.classes == before.classes
    assert (after.image_id == before.image_id).all() and (after.true == before.true).all()
    np.testing.assert_allclose(after.probabilities, before.probabilities, rtol=0, atol=1e-15)
    pd.testing.assert_frame_equal(after.facts, before.facts)


def test_the_model_s_classes_fix_the_order(tmp_path):
    found = read_predictions(csv(tmp_path, rows()), classes=("nv", "mel"))
    assert found.classes == ("nv", "mel")
    assert found.true.tolist() == [0, 0, 1]
    assert found.probabilities[2].tolist() == [0.1, 0.9]


def test_rounding_is_made_good():
    found = make_predictions(rows(mel=[0.1003, 0.3, 0.9]))
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-15)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"true": None}, ["Missing: true", "image_id, lesion_id, mel, nv"]),
        ({"image_id": None}, ["Missing: image_id"]),
        ({"mel": None, "nv": None}, ["at least two columns of probabilities", "none"]),
        ({"mel": ["0.1", "0.5", "0.9"]}, ["sum to 1", "1.2", "row 2", "image 'b'"]),
        ({"mel": ["0.1", "nan", "0.9"]}, ["Column 'mel'", "'nan'", "row 2", "image 'b'"]),
        ({"mel": ["0.1", "", "0.9"]}, ["Column 'mel'", "''", "row 2"]),
        ({"mel": ["inf", "0.3", "0.9"]}, ["Column 'mel'", "'inf'", "row 1"]),
        (
            {"mel": ["0.1", "0.3", "-0.1"], "nv": ["0.9", "0.7", "1.1"]},
            ["within 0..1", "-0.1", "'mel'", "row 3"],
        ),
        (
            {"true": ["nv", "nvv", "mel"]},
            ["one of the classes mel, nv", "'nvv'", "row 2", "Did you mean 'nv'?"],
        ),
        ({"true": ["nv", "", "mel"]}, ["one of the classes", "''", "row 2"]),
        ({"image_id": ["a", "b", "a"]}, ["must be unique", "'a' in 2 rows", "rows 1, 3"]),
        ({"image_id": ["a", "", "c"]}, ["must not be empty", "row 2"]),
        ({"comment": ["x", "y", "z"]}, ["Column 'comment'", "'x'", "taken for a class"]),
        ({"age": ["50", "old", ""]}, ["`age`", "'old'", "row 2"]),
    ],
)
def test_a_broken_rule_is_named_with_its_place(changes, words):
    with pytest.raises(DataError) as error:
        make_predictions(rows(**changes))
    assert not [word for word in words if word not in str(error.value)], str(error.value)


def test_an_empty_part_is_an_error(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("image_id,true,mel,nv\n")
    with pytest.raises(DataError, match="at least one image"):
        read_predictions(path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("p.csv", b"", "must be readable"),
        ("p.csv", b"image_id,true,mel,nv,nv\na,nv,0,1,1\n", "'nv' 2 times"),
        ("p.csv", b"\xff\xfe\x00\x01", "must be readable"),
        ("p.parquet", b"not parquet", "must be readable"),
        ("p.txt", b"x", "must end in .csv or .parquet"),
        ("missing.csv", None, "No such file"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, content, words):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_predictions(path)


def test_columns_of_other_classes_than_the_model_s():
    with pytest.raises(DataError, match=r"missing: bcc; unknown: nv"):
        make_predictions(rows(), classes=("mel", "bcc"))


def test_a_lesion_s_probabilities_are_the_mean_of_its_images():
    whole = make_predictions(rows(lesion_id=["L9", "L9", "L2"], sex=["male", "female", "male"]))
    found = per_lesion(whole)
    assert found.lesion_id.tolist() == ["L9", "L2"]
    assert found.image_id.tolist() == ["a", "c"]
    np.testing.assert_allclose(found.probabilities, [[0.2, 0.8], [0.9, 0.1]])
    assert found.true.tolist() == [1, 0]
    assert found.facts["sex"].tolist() == ["male", "male"]


def test_images_without_a_lesion_stay_alone():
    found = per_lesion(make_predictions(rows(lesion_id=["", "", "b"])))
    assert found.image_id.tolist() == ["a", "b", "c"]


def test_a_lesion_of_two_classes_is_an_error():
    with pytest.raises(DataError, match=r"lesion 'L1' with mel and nv"):
        per_lesion(make_predictions(rows(true=["nv", "mel", "mel"])))


def test_rows_can_be_chosen():
    whole = make_predictions(rows(age=["1", "2", "3"]))
    assert whole.rows(whole.true == 1).facts["age"].tolist() == [1, 2]
    assert whole.rows(np.array([2, 0])).image_id.tolist() == ["c", "a"]
    assert whole.rows(whole.true == 1).absent == ("mel",)
