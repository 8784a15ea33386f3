"""Splits: every protocol, honest about what leaks, files that cannot be changed unseen."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skinzoo.data.protocols import PROTOCOLS
from skinzoo.data.read import read_dataset
from skinzoo.data.splits import Split, crossing_lesions, group_numbers, make_folds, make_split
from skinzoo.data.table import PARTS, make_table
from skinzoo.errors import DataError, UsageError

GROUPED = ("lesion", "lesion_kfold", "datta")


@pytest.fixture(scope="module")
def table(sample_folder):
    return read_dataset(sample_folder)


@pytest.fixture
def plain(tmp_path):
    """Make a table of small files: `plain(labels, lesions=..., parts=..., ages=...)`."""

    def make(labels, *, lesions=None, parts=None, ages=None):
        paths = [tmp_path / f"i{n}.jpg" for n in range(len(labels))]
        for path in paths:
            path.touch()
        return make_table(
            {
                "image_path": [str(path) for path in paths],
                "image_id": [path.stem for path in paths],
                "label": labels,
                "lesion_id": lesions or [""] * len(labels),
                "part": parts or [""] * len(labels),
                "age": ages or [50] * len(labels),
            },
            dataset="plain",
            classes=sorted(set(labels)),
        )

    return make


def sizes(split):
    return {part: sum(counts.values()) for part, counts in split.counts.items()}


def supports(split, part):
    return list(split.counts[part].values())


# Protocols on the sample


@pytest.mark.parametrize("protocol", GROUPED)
def test_grouped_protocols_keep_lesions_together(table, protocol):
    split = make_split(table, protocol)
    assert crossing_lesions(table, split) == []
    assert split.crossing == 0
    assert "leaky" not in split.stamps
    assert sum(sizes(split).values()) == len(table)


@pytest.mark.parametrize("order", ["sorted", "shuffled"])
def test_lesion_is_what_scikit_learn_gives(table, order):
    from sklearn.model_selection import StratifiedGroupKFold

    if order == "shuffled":
        # scikit-learn numbers groups by sorted id, whatever order the rows have.
        attrs = table.attrs
        table = table.sample(frac=1, random_state=0).reset_index(drop=True)
        table.attrs = attrs
    folds = StratifiedGroupKFold(10, shuffle=True, random_state=3)
    tests = [test for _, test in folds.split(table, table["label"], table["lesion_id"])]
    for fold in (0, 9):
        split = make_split(table, seed=3, test_fold=fold)
        assert split.part(table, "test")["image_id"].tolist() == table["image_id"].iloc[tests[fold]].tolist()
        expected = table["image_id"].iloc[tests[(fold + 1) % 10]].tolist()
        assert split.part(table, "validation")["image_id"].tolist() == expected
    assert split.seed == 3
    assert split.options == {"folds": 10, "test_fold": 9, "merge_duplicates": False}
    assert split.stamps == ()
    assert split.warnings == ()


def test_parts_are_disjoint_complete_and_in_order(table):
    split = make_split(table)
    found = [split.part(table, part) for part in PARTS]
    ids = [name for part in found for name in part["image_id"]]
    assert sorted(ids) == sorted(table["image_id"])
    for part in found:
        assert part["image_id"].tolist() == [n for n in table["image_id"] if n in set(part["image_id"])]
        assert part.attrs == table.attrs
        assert part.index.tolist() == list(range(len(part)))
    assert split.part_of(table).value_counts().to_dict() == sizes(split)
    with pytest.raises(UsageError, match="`part` must be one of train, validation, test"):
        split.part(table, "tests")


def test_same_seed_same_hash_other_seed_other_hash(table):
    assert make_split(table, seed=1).hash == make_split(table, seed=1).hash
    assert make_split(table, seed=1).hash != make_split(table, seed=2).hash
    assert make_split(table).seed == 0
    assert make_split(table, "northeastern").seed == 42


def test_cross_validation_tests_each_image_once(table):
    splits = make_folds(table, folds=4, seed=5)
    assert len(splits) == 4
    tested = [name for split in splits for name in split.part(table, "test")["image_id"]]
    assert sorted(tested) == sorted(table["image_id"])
    assert all(split.protocol == "lesion_kfold" and not split.crossing for split in splits)


def test_paper_is_leaky_and_drops_unknown_ages(table):
    split = make_split(table, "paper")
    unknown = set(table["image_id"][table["age"].isna()])
    assert unknown
    assert set(split.dropped) == unknown
    assert set(split.dropped.values()) == {"age is unknown"}
    assert set(split.part_of(table)[table["age"].isna()]) == {"dropped"}
    assert split.leaky
    assert set(split.stamps) == {"leaky", "selection on test"}
    assert split.crossing == len(crossing_lesions(table, split)) > 0
    assert any(f"{split.crossing:,} lesions" in warning for warning in split.warnings)
    assert split.resolve("test") == "validation"
    assert split.part(table, "test").equals(split.part(table, "validation"))


def test_datta_tests_only_single_images(table):
    split = make_split(table, "datta")
    images = table.groupby("lesion_id").size()
    assert (images[split.part(table, "test")["lesion_id"]] == 1).all()
    assert split.stamps == ("selection on test",)
    assert split.part(table, "validation").equals(split.part(table, "test"))


def test_datta_with_a_validation_part_is_honest(table):
    split = make_split(table, "datta", options={"validation": 0.1})
    assert split.stamps == ()
    assert split.crossing == 0
    assert split.part(table, "test").equals(make_split(table, "datta").part(table, "test"))
    assert not set(split.part(table, "validation")["image_id"]) & set(split.part(table, "test")["image_id"])
    assert 0.05 < sizes(split)["validation"] / (len(table) - sizes(split)["test"]) < 0.2


def test_northeastern_is_not_stratified_and_leaky(table):
    from sklearn.model_selection import train_test_split

    split = make_split(table, "northeastern")
    _, expected = train_test_split(table["image_id"].tolist(), test_size=0.2, random_state=42)
    assert set(split.part(table, "test")["image_id"]) == set(expected)
    assert set(split.stamps) == {"leaky", "selection on test"}


# Files


def test_saved_and_loaded(table, tmp_path):
    for protocol in ("lesion", "paper", "datta"):
        split = make_split(table, protocol)
        path = tmp_path / "Ordner mit Leerzeichen é" / f"{protocol}.json"
        split.save(path)
        assert Split.load(path, table) == split
        assert list(Split.load(path).counts) == list(split.counts)
        assert Split.load(path).hash == split.hash == json.loads(path.read_text())["hash"]


@pytest.mark.parametrize("change", ["assignment", "stamps", "fingerprint", "seed"])
def test_a_changed_file_is_refused(table, tmp_path, change):
    path = tmp_path / "split.json"
    make_split(table, "paper").save(path)
    content = json.loads(path.read_text())
    if change == "assignment":
        image = next(name for name, part in content[change].items() if part == "validation")
        content[change][image] = "train"
    elif change == "stamps":
        content[change] = []
    else:
        content[change] = 7 if change == "seed" else "0" * 64
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="hash of a split must be that of its content") as caught:
        Split.load(path)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"hash": "x"}', '{"hash": "x", "format": 1, "classes": 3}']
)
def test_what_is_no_split_is_refused(tmp_path, content):
    path = tmp_path / "split.json"
    path.write_text(content)
    with pytest.raises(DataError, match="must be a JSON file as skinzoo writes it"):
        Split.load(path)
    with pytest.raises(DataError, match=r"nowhere.json \(no such file\)"):
        Split.load(tmp_path / "nowhere.json")


def test_a_page_is_not_json(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("<!DOCTYPE html><html></html>")
    with pytest.raises(DataError, match=r"page.html \(not JSON\)"):
        Split.load(path)


def test_the_hash_does_not_depend_on_how_the_split_came_about(table, tmp_path):
    split = make_split(table)
    explained = dataclasses.replace(split, warnings=("Said otherwise.",))
    assert explained.hash == split.hash
    assert dataclasses.replace(split, stamps=("leaky",)).hash != split.hash


def test_a_split_whose_hash_covers_the_warnings_is_still_read(table, tmp_path):
    path = tmp_path / "split.json"
    split = dataclasses.replace(make_split(table), warnings=("Lesions cross.",))
    split.save(path)
    content = json.loads(path.read_text())
    del content["hash"]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    path.write_text(json.dumps({**content, "hash": hashlib.sha256(text.encode()).hexdigest()}))
    assert Split.load(path).hash == split.hash


def test_a_split_of_other_cases_is_refused(table, tmp_path):
    path = tmp_path / "split.json"
    make_split(table).save(path)
    fewer = table.iloc[1:].reset_index(drop=True)
    with pytest.raises(DataError, match="1 images of the split are not in the table"):
        Split.load(path, fewer)
    more = pd.concat([table, table.iloc[:1].assign(image_id="new")], ignore_index=True)
    more.attrs = table.attrs
    with pytest.raises(DataError, match="1 of the table are not in the split, 'new' first"):
        Split.load(path).part(more, "train")
    relabelled = table.copy()
    relabelled.loc[0, "label"] = "df" if table["label"].iat[0] != "df" else "nv"
    with pytest.raises(DataError, match="the same images with other labels or lesion ids"):
        Split.load(path, relabelled)


def test_a_split_fits_another_copy_of_the_images(table, tmp_path):
    split = make_split(table)
    assert split.check(table) == []
    copy = table.copy()
    for position, path in enumerate(table["image_path"]):
        other = tmp_path / f"{position}.jpg"
        other.write_bytes(b"another size")
        copy.loc[position, "image_path"] = str(other)
        assert path != str(other)
    (note,) = split.check(copy)
    assert "another copy" in note
    assert split.part(copy, "test")["image_id"].tolist() == split.part(table, "test")["image_id"].tolist()


# Wrong questions


def test_unknown_protocol_and_option(table):
    with pytest.raises(UsageError, match="Did you mean 'lesion'"):
        make_split(table, "lesions")
    with pytest.raises(UsageError, match="Did you mean 'folds'"):
        make_split(table, fold=3)
    with pytest.raises(UsageError, match="has the options: folds, test_fold"):
        make_split(table, options={"zzz": 1})


@pytest.mark.parametrize(
    ("protocol", "options", "message"),
    [
        ("lesion", {"folds": 2}, "at least 3"),
        ("lesion", {"folds": "ten"}, "must be of type int"),
        ("lesion", {"folds": 3.5}, "must be of type int"),
        ("lesion", {"folds": True}, "must be of type int"),
        ("lesion", {"test_fold": 10}, "within 0..9"),
        ("lesion", {"test_fold": -1}, "within 0..9"),
        ("lesion_kfold", {"fold": 10}, "within 0..9"),
        ("paper", {"test_size": 0}, "between 0 and 1"),
        ("paper", {"test_size": 10}, "between 0 and 1"),
        ("datta", {"validation": 0.7}, "within 0..0.5"),
        ("datta", {"validation": -1}, "within 0..1"),
        ("northeastern", {"test_size": "much"}, "must be of type float"),
        ("given", {}, "one of the options column and file"),
        ("given", {"column": "part", "file": "x"}, "one of the options column and file"),
        ("given", {"column": "parts"}, "Did you mean 'part'"),
    ],
)
def test_values_out_of_range(table, protocol, options, message):
    with pytest.raises(UsageError, match=message):
        make_split(table, protocol, options=options)


def test_negative_seed(table):
    with pytest.raises(UsageError, match="`seed` must not be negative"):
        make_split(table, seed=-1)


def test_too_few_lesions_for_the_folds(plain):
    labels = ["a"] * 20 + ["b"] * 4
    small = plain(labels, lesions=[f"l{n}" for n in range(24)])
    with pytest.raises(DataError, match=r"folds \(10\). Received: 4 of class 'b'") as caught:
        make_split(small)
    assert "--folds 4" in caught.value.hint
    assert sizes(make_split(small, folds=4)) == {"train": 12, "validation": 6, "test": 6}
    tiny = plain(["a"] * 20 + ["b"] * 2, lesions=[f"l{n}" for n in range(22)])
    with pytest.raises(DataError, match="Received: 2 of class 'b'") as caught:
        make_split(tiny, folds=3)
    assert "Add images of that class" in caught.value.hint


def test_images_of_few_lesions_do_not_count_as_lesions(plain):
    many = plain(["a"] * 30 + ["b"] * 30, lesions=[f"l{n // 10}" for n in range(60)])
    with pytest.raises(DataError, match="Received: 3 of class 'a'"):
        make_split(many, folds=5)


def test_classes_too_small_for_the_papers_protocols(plain):
    small = plain(["a"] * 20 + ["b"], lesions=[f"l{n}" for n in range(21)])
    with pytest.raises(DataError, match=r"at least 2 images with a known age. Received: 1 of class 'b'"):
        make_split(small, "paper")
    with pytest.raises(DataError, match=r"at least 2 single-image lesions. Received: 1 of class 'b'"):
        make_split(small, "datta")
    pairs = plain(["a"] * 20 + ["b"] * 2, lesions=[f"l{n}" for n in range(20)] + ["p", "p"])
    with pytest.raises(DataError, match=r"single-image lesions in every class. Received: none of b"):
        make_split(pairs, "datta")


def test_a_class_that_a_part_lacks_is_named(plain):
    rare = plain(["a"] * 60 + ["b"], lesions=[f"l{n}" for n in range(61)])
    split = make_split(rare, "northeastern")
    absent = [part for part in ("train", "test") if not split.counts[part]["b"]]
    named = [warning for warning in split.warnings if "has no image of: b" in warning]
    assert len(named) == len(absent) > 0


# Without lesion ids


def clusters(table, *pairs):
    groups = {name: name for name in table["image_id"]}
    for first, *rest in pairs:
        for name in rest:
            groups[name] = first
    return groups


def test_without_lesion_ids_near_duplicates_stay_together(plain):
    bare = plain(["a", "b"] * 30)
    groups = clusters(bare, *([f"i{n}", f"i{n + 2}"] for n in range(0, 56, 4)))
    split = make_split(bare, groups=groups, folds=5)
    assert split.protocol == "lesion"
    assert split.stamps == ("no lesion ids",)
    assert "near-duplicates kept together" in split.warnings[0]
    parts = dict(zip(bare["image_id"], split.part_of(bare), strict=True))
    assert all(parts[f"i{n}"] == parts[f"i{n + 2}"] for n in range(0, 56, 4))
    with pytest.raises(
        UsageError, match=r"`groups` must name a cluster for each image. Received: none for 'i1'"
    ):
        make_split(bare, groups={"i0": "x"}, folds=5)


def test_without_lesion_ids_the_audit_finds_the_groups(sample_folder, tmp_path):
    """Byte-identical copies under other names end in one part although nothing but the pictures says so."""
    import shutil

    source = read_dataset(sample_folder)
    for row in source.itertuples():
        (tmp_path / row.label).mkdir(exist_ok=True)
        shutil.copy(row.image_path, tmp_path / row.label / f"{row.image_id}.jpg")
        shutil.copy(row.image_path, tmp_path / row.label / f"{row.image_id}_copy.jpg")
    bare = read_dataset(tmp_path)
    assert set(bare["lesion_id"]) == {""}
    split = make_split(bare, folds=4)
    assert split.stamps == ("no lesion ids",)
    parts = dict(zip(bare["image_id"], split.part_of(bare), strict=True))
    copies = [name for name in parts if not name.endswith("_copy.jpg")]
    assert all(parts[name] == parts[name.replace(".jpg", "_copy.jpg")] for name in copies)
    assert make_split(bare, "northeastern").stamps == ("selection on test", "leaky")


def test_without_lesion_ids_official_parts_come_first(plain):
    bare = plain(["a", "b"] * 30, parts=["train"] * 40 + ["validation"] * 10 + ["test"] * 10)
    split = make_split(bare)
    assert split.protocol == "official"
    assert split.stamps == ("no lesion ids",)
    assert "official parts are used instead of protocol 'lesion'" in split.warnings[0]
    assert split.hash == make_split(bare, "official").hash
    assert sizes(split) == {"train": 40, "validation": 10, "test": 10}
    merged = make_split(bare, merge_duplicates=True, groups=clusters(bare), folds=5)
    assert merged.protocol == "lesion"
    with pytest.raises(DataError, match="Cross-validation must have lesion or patient ids"):
        make_folds(bare, folds=3, groups=clusters(bare))


def test_merging_duplicates_across_lesions(table):
    first, second = [name for name in table["lesion_id"].unique() if name][:2]
    names = [table["image_id"][table["lesion_id"] == lesion].iloc[0] for lesion in (first, second)]
    groups = clusters(table, names)
    split = make_split(table, merge_duplicates=True, groups=groups)
    together = table["lesion_id"].isin([first, second])
    assert split.part_of(table)[together].nunique() == 1
    assert "(1 groups joined)" in split.warnings[0]
    assert split.options["merge_duplicates"] is True
    assert split.hash != make_split(table).hash
    assert any(
        "not kept together" in warning
        for warning in make_split(table, "paper", merge_duplicates=True).warnings
    )


def test_group_numbers(plain):
    small = plain(["a"] * 5, lesions=["x", "x", "", "", "y"])
    assert group_numbers(small, None).tolist() == [2, 2, 0, 1, 3]
    joined = group_numbers(small, {"i0": "1", "i1": "2", "i2": "1", "i3": "3", "i4": "4"})
    assert joined.tolist() == [0, 0, 0, 1, 2]


def test_images_without_lesion_id_among_others_are_counted(plain):
    mixed = plain(["a"] * 30, lesions=["x", "x", *[""] * 28])
    split = make_split(mixed, folds=5)
    assert any("28 images carry no lesion id" in warning for warning in split.warnings)
    assert "no lesion ids" not in split.stamps


# Official and given parts


def test_official_parts_that_share_lesions_are_leaky(plain):
    shared = plain(
        ["a"] * 12,
        lesions=[f"l{n % 6}" for n in range(12)],
        parts=["train"] * 6 + ["validation"] * 3 + ["test"] * 3,
    )
    split = make_split(shared, "official")
    assert split.leaky
    assert split.crossing == 6


def test_official_without_validation_part_takes_one_from_training(plain):
    lesions = [f"l{n // 2}" for n in range(40)] + [f"t{n}" for n in range(10)]
    parts = ["train"] * 40 + ["test"] * 8 + ["", ""]
    official = plain(["a", "a", "b", "b"] * 10 + ["a", "b"] * 5, lesions=lesions, parts=parts)
    split = make_split(official, "official", validation=0.2)
    assert sizes(split)["test"] == 8
    assert 4 <= sizes(split)["validation"] <= 12
    assert split.crossing == 0
    assert set(split.dropped) == {"i48", "i49"}
    assert any("2 images have no part" in warning for warning in split.warnings)
    assert any("a share of 0.2 of the training part" in warning for warning in split.warnings)
    without = make_split(official, "official", validation=0)
    assert without.stamps == ("selection on test",)
    assert without.resolve("validation") == "test"


def test_official_without_test_part_reports_on_validation(plain):
    split = make_split(plain(["a"] * 10, parts=["train"] * 7 + ["validation"] * 3), "official")
    assert split.resolve("test") == "validation"
    assert "selection on test" in split.stamps


def test_official_needs_parts(table, plain):
    with pytest.raises(DataError, match=r"must find official parts.*Received: none in dataset 'sample'"):
        make_split(table, "official")
    with pytest.raises(DataError, match="Received: train in dataset 'plain'"):
        make_split(plain(["a"] * 3, parts=["train"] * 3), "official")


def test_given_file_and_column(plain, tmp_path):
    cases = plain(["a", "b"] * 6, parts=["train"] * 6 + ["validation"] * 3 + ["test"] * 3)
    by_column = make_split(cases, "given", column="part")
    names = {"train": "Training", "validation": "val", "test": "TEST"}
    lines = [f"{image},{names[part]}" for image, part in zip(cases["image_id"], cases["part"], strict=True)]
    path = tmp_path / "parts é.csv"
    path.write_text("\n".join(["image_id,part", *lines, "elsewhere,train"]), encoding="utf-8")
    by_file = make_split(cases, "given", file=str(path))
    assert by_file.assignment == by_column.assignment
    assert by_file.stamps == ("no lesion ids",)
    assert any("names 1 images that the table does not have" in warning for warning in by_file.warnings)

    path.write_text("\n".join(["image_id,part", *lines[:-2]]), encoding="utf-8")
    assert set(make_split(cases, "given", file=str(path)).dropped) == {"i10", "i11"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["image_id,part", "i0,train", "i0,test"], "once in"),
        (["image_id,part", "i0,train", "i1,holdout"], "Received: 'holdout' for image 'i1'"),
        (["image_id,part", "i0,train"], "Received: train in"),
        (["image_id,fold", "i0,train"], "must have the column part"),
    ],
)
def test_bad_given_files(plain, tmp_path, lines, message):
    path = tmp_path / "parts.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=message):
        make_split(plain(["a", "a"]), "given", file=str(path))


def test_given_parts_that_share_lesions_are_leaky(plain):
    cases = plain(["a"] * 6, lesions=["x", "x", "y", "z", "z", "w"], parts=["train", "test"] * 3)
    split = make_split(cases, "given", column="part", validation=0)
    assert split.leaky
    assert split.crossing == 2
    assert any("2 lesions (4 images)" in warning for warning in split.warnings)


def test_every_protocol_says_what_it_is():
    assert set(PROTOCOLS) == {"lesion", "lesion_kfold", "paper", "datta", "northeastern", "official", "given"}
    assert {name for name, protocol in PROTOCOLS.items() if protocol.leaky} == {"paper", "northeastern"}
    assert all(protocol.title and name == protocol.name for name, protocol in PROTOCOLS.items())


# HAM10000 as it is


@pytest.fixture(scope="module")
def published(ham10000):
    return read_dataset(ham10000)


@pytest.mark.realdata
def test_lesion_protocol_on_ham10000(published):
    from sklearn.model_selection import StratifiedGroupKFold

    split = make_split(published)
    rows = pd.read_csv(Path(published["image_path"].iloc[0]).parents[1] / "HAM10000_metadata.csv")
    folds = StratifiedGroupKFold(10, shuffle=True, random_state=0)
    _, first = next(folds.split(rows, rows["dx"], rows["lesion_id"]))
    assert set(split.part(published, "test")["image_id"]) == set(rows["image_id"].iloc[first])
    assert supports(split, "test") == [33, 52, 110, 12, 111, 670, 14]
    assert crossing_lesions(published, split) == []
    assert crossing_lesions(published, make_split(published, "lesion_kfold", fold=4)) == []


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("size", "train", "validation"),
    [
        (0.1, [294, 463, 980, 103, 1000, 5994, 128], [33, 51, 109, 12, 111, 666, 14]),
        (0.15, [278, 437, 925, 98, 944, 5661, 121], [49, 77, 164, 17, 167, 999, 21]),
        (0.2, [261, 411, 871, 92, 889, 5328, 114], [66, 103, 218, 23, 222, 1332, 28]),
    ],
)
def test_paper_protocol_has_the_published_counts(published, size, train, validation):
    split = make_split(published, "paper", test_size=size)
    assert len(split.dropped) == 57
    assert len(split.assignment) == 9958
    assert supports(split, "train") == train
    assert supports(split, "validation") == validation
    assert split.leaky
    assert split.crossing == len(crossing_lesions(published, split))
    assert split.crossing > 300
    assert any(f"{split.crossing:,} lesions" in warning for warning in split.warnings)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("size", "train", "test"),
    [
        (0.15, [304, 488, 1033, 109, 1079, 6042, 132], [23, 26, 66, 6, 34, 663, 10]),
        (0.2, [297, 479, 1011, 107, 1067, 5822, 129], [30, 35, 88, 8, 46, 883, 13]),
        (0.3, [282, 461, 967, 103, 1044, 5380, 123], [45, 53, 132, 12, 69, 1325, 19]),
    ],
)
def test_datta_protocol_has_the_published_counts(published, size, train, test):
    split = make_split(published, "datta", test_size=size)
    assert supports(split, "train") == train
    assert supports(split, "test") == test
    assert split.crossing == 0
    assert split.stamps == ("selection on test",)
    honest = make_split(published, "datta", test_size=size, validation=0.1)
    assert supports(honest, "test") == test
    assert honest.crossing == 0
    assert honest.stamps == ()


@pytest.mark.realdata
def test_northeastern_protocol_has_the_published_counts(published):
    split = make_split(published, "northeastern")
    assert sizes(split) == {"train": 8012, "test": 2003}
    assert supports(split, "test") == [69, 93, 228, 28, 226, 1338, 21]
    assert split.leaky
    assert split.crossing > 500


@pytest.mark.realdata
@pytest.mark.parametrize("seed", range(3))
def test_paper_counts_hold_for_every_seed(published, seed):
    split = make_split(published, "paper", seed=seed)
    assert sizes(split) == {"train": 8962, "validation": 996}
    assert np.array_equal(supports(split, "validation"), [33, 51, 109, 12, 111, 666, 14])
