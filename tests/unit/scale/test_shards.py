"""A folder of results: what is missing, and what is refused."""

import json
from dataclasses import replace

import pytest

from skinzoo.client.cases import Case, Result
from skinzoo.errors import UsageError
from skinzoo.scale.shards import Plan, ShardFolder, fingerprint_of, name_of, write_shard

pq = pytest.importorskip("pyarrow.parquet", reason="the extra ray is not installed")

PLAN = Plan(
    inputs="cases",
    model="m/1",
    model_fingerprint="files",
    classes=("mel", "nv"),
    calibrated=True,
    cases=10,
    shard=4,
    batch=2,
    batch_bytes=100,
    any_term=False,
)


def results(rows):
    fine = {"predicted_class": "nv", "probabilities": (0.25, 0.75), "calibrated": (0.1, 0.9)}
    return [
        Result(id=str(row), image=f"{row}.jpg", **(fine | {"model": "m", "version": 1, "abstain": False}))
        if row != 5
        else Result(id="5", image="5.jpg", error="No such file.")
        for row in rows
    ]


def fill(path, ranges, plan=PLAN):
    for rows in ranges:
        write_shard(path, plan, rows, results(rows))


def test_rows_are_shared_out_in_files_whose_names_sort_as_the_cases(tmp_path):
    assert PLAN.ranges() == [range(4), range(4, 8), range(8, 10)]
    assert name_of(range(4, 8)) == "cases-000000004-000000007.parquet"
    with ShardFolder(tmp_path) as folder:
        fill(folder.path, folder.begin(PLAN))
    table = pq.read_table(tmp_path)
    assert table.column("id").to_pylist() == [str(row) for row in range(10)]
    bad = table.to_pylist()[5]
    assert bad["error"] == "No such file."
    assert {bad[name] for name in ("p_nv", "calibrated_mel", "predicted_class", "abstain", "model")} == {None}
    good = table.to_pylist()[4]
    assert good["p_nv"] == 0.75 and good["calibrated_nv"] == 0.9 and good["model"] == "m/1"
    assert good["error"] is None and good["abstain"] is False


def test_a_restart_does_what_is_missing(tmp_path):
    with ShardFolder(tmp_path) as folder:
        assert folder.begin(PLAN) == PLAN.ranges()
        fill(folder.path, [range(4), range(4, 8)])
        folder.add({"cases": 8})
    (tmp_path / ".cases-000000008-000000009.parquet.x.part.parquet").write_bytes(b"torn")
    with pytest.raises(UsageError, match=r"must not exist.*--resume"):
        ShardFolder(tmp_path)
    with ShardFolder(tmp_path, resume=True) as folder:
        assert folder.begin(PLAN) == [range(8, 10)]
        assert (folder.tally.answered, folder.tally.failed) == (7, 1)
    manifest = json.loads((tmp_path / "_manifest.json").read_text())
    assert manifest["sessions"] == [{"cases": 8}] and manifest["key"] == PLAN.key
    with ShardFolder(tmp_path, overwrite=True) as folder:
        assert folder.begin(PLAN) == PLAN.ranges()
    assert not list(tmp_path.glob("cases-*"))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"inputs": "others"}, "another `inputs`"),
        ({"model_fingerprint": "others"}, "another `model_fingerprint`"),
        ({"model": "m/2"}, "another `model`: m/1, not m/2"),
        ({"shard": 5}, "another `shard`: 4, not 5"),
        ({"batch": 3}, "another `batch`: 2, not 3"),
    ],
)
def test_results_of_something_else_are_refused(tmp_path, other, said):
    with ShardFolder(tmp_path) as folder:
        folder.begin(PLAN)
        fill(folder.path, [range(4)])
    with ShardFolder(tmp_path, resume=True) as folder, pytest.raises(UsageError, match=said):
        folder.begin(replace(PLAN, **other))
    with ShardFolder(tmp_path, resume=True) as folder:
        assert folder.begin(PLAN) == [range(4, 8), range(8, 10)]


def test_a_single_file_of_something_else_is_refused(tmp_path):
    with ShardFolder(tmp_path) as folder:
        folder.begin(PLAN)
        fill(tmp_path, [range(4)], replace(PLAN, model_fingerprint="others"))
    with ShardFolder(tmp_path, resume=True) as folder, pytest.raises(UsageError, match="another model"):
        folder.begin(PLAN)
    (tmp_path / name_of(range(4))).write_bytes(b"PAR1 no PAR1")
    with (
        ShardFolder(tmp_path, resume=True) as folder,
        pytest.raises(UsageError, match="no results that can be read"),
    ):
        folder.begin(PLAN)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("mine")
    for options in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(UsageError), ShardFolder(tmp_path, **options) as folder:
            folder.begin(PLAN)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_nothing_is_left_where_nothing_came_of_it(tmp_path):
    path = tmp_path / "out"
    for _ in range(2):
        with ShardFolder(path) as folder:
            folder.begin(PLAN)
        assert not path.exists()


def test_one_process_writes_at_a_time(tmp_path):
    with ShardFolder(tmp_path), pytest.raises(UsageError, match="another process"):
        ShardFolder(tmp_path)
    with ShardFolder(tmp_path):
        pass


def test_the_fingerprint_is_of_all_that_cases_state_and_of_their_images_sizes(tmp_path):
    image = tmp_path / "a.jpg"
    image.write_bytes(b"12")
    cases = [Case(image=image, id="a", age=5)]
    first = fingerprint_of(iter(cases))
    assert fingerprint_of(iter(cases)) == first
    others = [
        Case(image=image, id="b", age=5),
        Case(image=image, id="a", age=6),
        Case(image=b"12", id="a", age=5),
    ]
    assert len({first, *(fingerprint_of(iter([one])) for one in others)}) == 4
    image.write_bytes(b"123")
    assert fingerprint_of(iter(cases)) != first
