"""Results as files, and going on with them after any kind of end."""

import csv
import json

import pytest

from skinzoo.client.cases import Case, Result
from skinzoo.client.model import Model
from skinzoo.client.outputs import ResultFile
from skinzoo.errors import DataError, UsageError

MODEL = Model(name="m", version=3, classes=("a", "b"), has_calibration=True)
NAMES = ("out.csv", "out.jsonl")


def case(number):
    return Case(id=f'case {number}, "the" one', image=f"/images/{number}.jpg")


def result(number):
    if number % 3 == 2:
        return Result(error="It must be,\nwell, good.\u2028Received: bad.").of(case(number))
    return Result(
        model="m",
        version=3,
        classes=("a", "b"),
        probabilities=(0.1, 0.9),
        predicted_class="b",
        calibrated=(0.25, 0.75),
        abstain=number % 2 == 0,
        warnings=("One.", "Two."),
    ).of(case(number))


def carry_out(path, total, *, until=None, model=MODEL, **options):
    """Write what is missing, as `predict` does, and end early if asked to."""
    cases = (case(number) for number in range(total))
    with ResultFile(path, **options) as file:
        file.begin(cases, model)
        for number in range(file.tally.total, total if until is None else until):
            assert next(cases) == case(number)
            file.write(result(number))
        return file.tally


@pytest.mark.parametrize("name", NAMES)
def test_every_end_can_be_gone_on_from(tmp_path, name):
    whole = tmp_path / name
    tally = carry_out(whole, 6)
    assert (tally.answered, tally.failed) == (4, 2)
    content = whole.read_bytes()
    part = tmp_path / f"part-{name}"
    # A process may be killed after any byte.
    for length in range(len(content) + 1):
        part.write_bytes(content[:length])
        tally = carry_out(part, 6, resume=True)
        assert part.read_bytes() == content, length
        assert (tally.answered, tally.failed) == (4, 2)


def test_columns(tmp_path):
    carry_out(tmp_path / "out.csv", 3)
    with (tmp_path / "out.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == [
        "id", "image", "predicted_class", "p_a", "p_b", "calibrated_a", "calibrated_b", "abstain",
        "warnings", "model", "error",
    ]  # fmt: skip
    assert rows[0]["id"] == 'case 0, "the" one' and rows[0]["image"] == "/images/0.jpg"
    assert (rows[0]["p_b"], rows[0]["calibrated_a"], rows[0]["abstain"]) == ("0.9", "0.25", "true")
    assert (rows[0]["warnings"], rows[0]["model"], rows[0]["error"]) == ("One. Two.", "m/3", "")
    assert rows[2]["error"] == "It must be, well, good. Received: bad."
    assert rows[2]["p_a"] == rows[2]["abstain"] == rows[2]["model"] == ""


def test_json_lines(tmp_path):
    carry_out(tmp_path / "out.jsonl", 3)
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().split("\n")[:-1]]
    assert rows[0]["probabilities"] == {"a": 0.1, "b": 0.9} and rows[0]["error"] is None
    assert rows[0]["model"] == "m/3" and rows[0]["warnings"] == ["One.", "Two."]
    assert rows[2]["probabilities"] is None and rows[2]["error"].startswith("It must be,\nwell")


def test_probabilities_keep_every_bit(tmp_path):
    import numpy as np

    value = float(np.nextafter(np.float32(0.1), np.float32(1)))
    one = Result(model="m", version=3, classes=("a", "b"), probabilities=(value, 1 - value))
    with ResultFile(tmp_path / "out.csv") as file:
        file.begin(iter([]), Model(name="m", version=3, classes=("a", "b")))
        file.write(one)
    with (tmp_path / "out.csv").open(newline="") as stream:
        [row] = csv.DictReader(stream)
    assert np.float32(row["p_a"]) == np.float32(value)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_never_replaced_unasked(tmp_path, name):
    carry_out(tmp_path / name, 3)
    with pytest.raises(UsageError, match=r"must not exist.*--resume.*--overwrite"):
        ResultFile(tmp_path / name)
    assert carry_out(tmp_path / name, 2, overwrite=True).total == 2


@pytest.mark.parametrize("name", NAMES)
def test_without_a_model_to_answer_nothing_changes(tmp_path, name):
    path = tmp_path / name
    with ResultFile(path):
        assert path.exists()
    assert not path.exists()
    carry_out(path, 3)
    content = path.read_bytes()
    for options in ({"overwrite": True}, {"resume": True}):
        with pytest.raises(DataError), ResultFile(path, **options):
            raise DataError("No server.")
        assert path.read_bytes() == content
    assert carry_out(path, 2, overwrite=True).total == 2
    assert path.read_bytes() != content


@pytest.mark.parametrize("name", NAMES)
def test_other_cases_and_other_models_are_refused(tmp_path, name):
    path = tmp_path / name
    carry_out(path, 6, until=4)
    content = path.read_bytes()

    def refused(words, cases, model=MODEL):
        with pytest.raises(UsageError, match=words), ResultFile(path, resume=True) as file:
            file.begin(iter(cases), model)
        assert path.read_bytes() == content

    refused("the same cases. .* result 1 is of 'case 0", [case(number) for number in range(1, 7)])
    refused("result 3 is of .* and not of any case", [case(0), case(1)])
    refused("Received: 'm/4'", map(case, range(6)), Model(name="m", version=4, classes=("a", "b")))


def test_other_classes_are_refused(tmp_path):
    carry_out(tmp_path / "out.csv", 3, until=0)
    with pytest.raises(UsageError, match="other columns"):
        carry_out(tmp_path / "out.csv", 3, resume=True, model=Model(name="m", version=3, classes=("a", "c")))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("out.csv", "image_id,dx\n1,nv\n"),
        ("out.jsonl", "{}\n"),
        ("out.jsonl", "1\n"),
        ("out.csv", "a\n1,2\n"),
    ],
)
def test_a_file_of_something_else_is_refused_and_kept(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match="a file of results"):
        ResultFile(tmp_path / name, resume=True)
    assert (tmp_path / name).read_text() == text


def test_two_processes_do_not_write_one_file(tmp_path):
    with (
        ResultFile(tmp_path / "out.csv") as file,
        pytest.raises(UsageError, match="another process"),
    ):
        file.begin(iter([]), MODEL)
        ResultFile(tmp_path / "out.csv", resume=True)


def test_names_and_places(tmp_path):
    with pytest.raises(UsageError, match="must end in"):
        ResultFile(tmp_path / "out.txt")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="must be writable"):
        ResultFile(tmp_path / "file" / "out.csv")
