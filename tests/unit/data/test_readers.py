"""Readers: real layouts where the data are, small copies of each layout elsewhere, and bad input."""

from __future__ import annotations

import json
import re
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skinzoo.data.read import (
    checked_options,
    find_dataset,
    forget_data,
    read_dataset,
    resolve_data,
    use_data,
    used_data,
)
from skinzoo.data.splits import make_split
from skinzoo.data.table import class_counts, lesion_count
from skinzoo.errors import DataError, PluginError, UnknownNameError, UsageError
from skinzoo.registry import registry
from skinzoo.specs import DatasetSpec

HAM = ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]


def image(path, size=(8, 6), seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng([zlib.crc32(path.name.encode()), seed]).integers(
        0, 255, (size[1], size[0], 3)
    )
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def text(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def spec(name):
    return registry().get(DatasetSpec, name)


HEADER = "lesion_id,image_id,dx,dx_type,age,sex,localization"


@pytest.fixture
def ham(tmp_path):
    """A small HAM10000: two folders, one image of each class, one lesion with two images, masks beside."""
    root = tmp_path / "Daten mit Leerzeichen üß 皮膚"
    lines = [f"HAM_{n},ISIC_{n},{label},histo,{40 + n}.0,male,back" for n, label in enumerate(HAM)]
    lines.append("HAM_5,ISIC_7,nv,follow_up,,unknown,unknown")
    text(root / "HAM10000_metadata.csv", HEADER, *lines)
    for number in range(8):
        image(root / f"HAM10000_images_part_{number % 2 + 1}" / f"ISIC_{number}.jpg", (600, 450))
        image(root / "masks" / f"ISIC_{number}_segmentation.png")
    return root


# HAM10000


def test_two_folders(ham):
    table = read_dataset(ham)
    assert table["image_id"].tolist() == [f"ISIC_{n}" for n in range(8)]
    assert table.attrs["dataset"] == "ham10000"
    assert table.attrs["classes"] == tuple(HAM)
    assert table["confirmation"].tolist()[-1] == "follow_up"
    assert table.attrs["left_out"] == []
    assert lesion_count(table) == 7
    assert np.isnan(table["age"].iat[-1])
    notes = " ".join(table.attrs["notes"])
    assert "8 images; the published dataset has 10,015" in notes
    assert "pixels" not in notes


def test_one_folder_and_the_metadata_file_itself(ham):
    joined = ham / "images"
    joined.mkdir()
    for part in (1, 2):
        for path in (ham / f"HAM10000_images_part_{part}").iterdir():
            path.rename(joined / path.name)
        (ham / f"HAM10000_images_part_{part}").rmdir()
    assert len(read_dataset(ham)) == len(read_dataset(ham / "HAM10000_metadata.csv")) == 8


def test_dataverse_tab_file(ham):
    table = ham / "HAM10000_metadata.csv"
    lines = [line.split(",") for line in table.read_text().splitlines()]
    quoted = ["\t".join(f'"{cell}"' for cell in [*line, "vidir_modern"]) for line in lines]
    quoted[0] = "\t".join([*lines[0], "dataset"])
    table.unlink()
    text(ham / "HAM10000_metadata.tab", *quoted)
    found = read_dataset(ham)
    assert len(found) == 8
    assert set(found["dataset"]) == {"ham10000"}


def test_resolution_is_noted(ham):
    for path in ham.glob("HAM*/*.jpg"):
        image(path, (200, 150))
    notes = " ".join(read_dataset(ham).attrs["notes"])
    assert "Images are 200x150 pixels" in notes
    assert "600x450" in notes


def test_rows_without_image(ham):
    (ham / "HAM10000_images_part_1" / "ISIC_2.jpg").unlink()
    with pytest.raises(DataError, match="none found for image 'ISIC_2'"):
        read_dataset(ham)
    table = read_dataset(ham, skip_bad=True)
    assert len(table) == 7
    assert [entry["image_id"] for entry in table.attrs["left_out"]] == ["ISIC_2"]


def test_images_without_row_are_listed_and_counted(ham):
    stray = image(ham / "HAM10000_images_part_2" / "ISIC_99.jpg")
    (ham / "HAM10000_images_part_2" / "ISIC_98.tif").write_bytes(b"II*")
    table = read_dataset(ham)
    assert len(table) == 8
    left = {entry["image_id"]: entry for entry in table.attrs["left_out"]}
    assert left["ISIC_99"]["path"] == str(stray)
    assert "no row" in left["ISIC_99"]["reason"]
    assert "JPEG, PNG or BMP" in left["ISIC_98"]["reason"]
    assert any("1 images on disk have no row" in note for note in table.attrs["notes"])


def test_images_that_lie_there_twice_are_noted(ham):
    shutil.copytree(ham / "HAM10000_images_part_1", ham / "copy")
    table = read_dataset(ham)
    assert len(table) == 8
    assert any("4 image names occur more than once" in note for note in table.attrs["notes"])
    assert table["image_path"].str.contains("HAM10000_images_part").all()


def test_missing_column_names_the_nearest(ham):
    path = ham / "HAM10000_metadata.csv"
    path.write_text(path.read_text().replace("localization", "localisation"), encoding="utf-8")
    with pytest.raises(DataError, match="must have the column localization") as caught:
        read_dataset(ham)
    assert "'localisation'" in caught.value.hint


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("ISIC_4,mel", "ISIC_4,melanom", "`label` must be one of"),
        ("44.0", "-44", "within 0..120"),
        ("44.0", "200", "within 0..120"),
        ("ISIC_4,mel", "ISIC_3,mel", "`image_id` must be unique"),
    ],
)
def test_bad_rows_of_a_reader(ham, old, new, rule):
    path = ham / "HAM10000_metadata.csv"
    path.write_text(path.read_text().replace(old, new), encoding="utf-8")
    with pytest.raises(DataError, match=rule):
        read_dataset(ham)
    table = read_dataset(ham, skip_bad=True)
    reasons = " ".join(entry["reason"] for entry in table.attrs["left_out"])
    assert rule.replace("`", "") in reasons.replace("`", "")
    assert len(table) < 8


def test_latin_1_table_is_refused(ham):
    path = ham / "HAM10000_metadata.csv"
    path.write_bytes(path.read_text().replace("back", "rücken").encode("latin-1"))
    with pytest.raises(DataError, match="CSV file in UTF-8"):
        read_dataset(ham)


def test_empty_table(ham):
    text(ham / "HAM10000_metadata.csv", HEADER)
    with pytest.raises(DataError, match="at least one usable row"):
        read_dataset(ham)
    (ham / "HAM10000_metadata.csv").write_text("")
    with pytest.raises(DataError, match="readable CSV"):
        read_dataset(ham)


@pytest.mark.realdata
def test_ham10000_as_published(ham10000):
    table = read_dataset(ham10000)
    assert class_counts(table) == dict(spec("ham10000").facts.class_counts)
    assert len(table) == 10015
    assert lesion_count(table) == 7470
    assert int(table["age"].isna().sum()) == 57
    assert table["sex"].value_counts().to_dict() == {"male": 5406, "female": 4552, "unknown": 57}
    assert (table["localization"] == "unknown").sum() == 234
    assert table["image_id"].iat[0] == "ISIC_0027419"
    assert table.attrs["left_out"] == []
    assert table.attrs["notes"] == [
        "Images are 200x150 pixels (of 16 looked at); the published ones are 600x450."
    ]


# ISIC 2017


@pytest.fixture
def isic2017(tmp_path):
    root = tmp_path / "isic2017"
    labels = ["1.0,0.0", "0.0,1.0", "0.0,0.0", "0.0,0.0"]
    for part in ("Training", "Validation", "Test_v2"):
        ids = [f"ISIC_{part}_{n}" for n in range(4)]
        text(
            root / f"ISIC-2017_{part}_Part3_GroundTruth.csv",
            "image_id,melanoma,seborrheic_keratosis",
            *(f"{name},{label}" for name, label in zip(ids, labels, strict=True)),
        )
        for name in ids:
            image(root / f"ISIC-2017_{part}_Data" / f"{name}.jpg", (16, 16))
            image(root / f"ISIC-2017_{part}_Data" / f"{name}_superpixels.png")
    text(
        root / "ISIC-2017_Training_Data" / "ISIC-2017_Training_Data_metadata.csv",
        "image_id,age_approximate,sex",
        "ISIC_Training_0,55,female",
        "ISIC_Training_1,unknown,unknown",
    )
    return root


def test_isic2017_parts_and_metadata(isic2017):
    table = read_dataset(isic2017)
    assert table.attrs["classes"] == ("melanoma", "seborrheic_keratosis", "nevus")
    assert table["part"].value_counts().to_dict() == {"train": 4, "validation": 4, "test": 4}
    assert class_counts(table) == {"melanoma": 3, "seborrheic_keratosis": 3, "nevus": 6}
    assert table["age"].iat[0] == 55
    assert table["age"].isna().sum() == 11
    notes = " ".join(table.attrs["notes"])
    assert "squashed to 16x16" in notes
    assert "Age and sex are unknown in the test part" in notes
    assert table.attrs["left_out"] == []


@pytest.mark.parametrize(
    ("task", "counts", "left_out"),
    [
        ("melanoma", {"rest": 9, "melanoma": 3}, 0),
        ("keratosis", {"rest": 9, "seborrheic_keratosis": 3}, 0),
        ("nevus_keratosis", {"nevus": 6, "seborrheic_keratosis": 3}, 3),
    ],
)
def test_isic2017_binary_tasks(isic2017, task, counts, left_out):
    table = read_dataset(isic2017, options={"task": task})
    assert class_counts(table) == counts
    assert len(table.attrs["left_out"]) == left_out
    assert any("task leaves out" in note for note in table.attrs["notes"]) == bool(left_out)


def test_isic2017_unknown_task_and_part_not_here(isic2017):
    with pytest.raises(UsageError, match="must be one of three, melanoma"):
        read_dataset(isic2017, options={"task": "binary"})
    (isic2017 / "ISIC-2017_Test_v2_Part3_GroundTruth.csv").unlink()
    table = read_dataset(isic2017)
    assert "The test part is not here." in table.attrs["notes"]
    assert any("4 images on disk have no row" in note for note in table.attrs["notes"])


def test_isic2017_two_classes_in_a_row(isic2017):
    path = isic2017 / "ISIC-2017_Training_Part3_GroundTruth.csv"
    path.write_text(path.read_text().replace("1.0,0.0", "1.0,1.0"))
    with pytest.raises(DataError, match="must set one class"):
        read_dataset(isic2017)
    path.write_text(path.read_text().replace("1.0,1.0", "yes,no"))
    with pytest.raises(DataError, match="must hold 0 and 1"):
        read_dataset(isic2017)


@pytest.mark.realdata
def test_isic2017_as_published(shared):
    table = read_dataset(shared / "data" / "isic2017")
    train = table[table["part"] == "train"]["label"].value_counts()
    assert [train[name] for name in table.attrs["classes"]] == [374, 254, 1372]
    assert table["part"].value_counts().to_dict() == {"train": 2000, "test": 600, "validation": 150}
    assert class_counts(table) == dict(spec("isic2017").facts.class_counts)
    notes = " ".join(table.attrs["notes"])
    assert "squashed to 256x256" in notes
    assert "published dataset has" not in notes
    split = make_split(table)
    assert split.protocol == "official"
    assert split.stamps == ("no lesion ids",)
    assert list(split.counts["train"].values()) == [374, 254, 1372]


# ISIC 2018


@pytest.fixture
def isic2018(tmp_path):
    root = tmp_path / "isic2018"
    columns = ["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]
    for part, count in (("Training", 7), ("Validation", 2), ("Test", 3)):
        rows = []
        for number in range(count):
            name = f"ISIC_{part}_{number}"
            rows.append(",".join([name, *("1.0" if number == n else "0.0" for n in range(7))]))
            image(root / f"ISIC2018_Task3_{part}_Input" / f"{name}.jpg", (600, 450))
        folder = f"ISIC2018_Task3_{part}_GroundTruth"
        text(root / folder / f"{folder}.csv", ",".join(["image", *columns]), *rows)
    text(
        root / "ISIC2018_Task3_Training_LesionGroupings.csv",
        "image,lesion_id,diagnosis_confirm_type",
        *(f"ISIC_Training_{n},HAM_{n // 2},serial imaging showing no change" for n in range(7)),
    )
    return root


def test_isic2018(isic2018):
    table = read_dataset(isic2018)
    assert table.attrs["dataset"] == "isic2018"
    assert table["label"].tolist()[:7] == ["mel", "nv", "bcc", "akiec", "bkl", "df", "vasc"]
    assert table.attrs["classes"] == tuple(HAM)
    assert table["part"].value_counts().to_dict() == {"train": 7, "validation": 2, "test": 3}
    assert lesion_count(table) == 4
    assert (table["lesion_id"] == "").sum() == 5
    assert set(table["confirmation"]) == {"follow_up", ""}
    assert any("publishes none" in note for note in table.attrs["notes"])


def test_isic2018_with_the_metadata_of_ham10000(isic2018):
    text(
        isic2018 / "HAM10000_metadata.csv",
        HEADER,
        "HAM_0,ISIC_Training_0,mel,histo,60.0,female,back",
        "HAM_9,ISIC_elsewhere,mel,histo,60.0,female,back",
    )
    table = read_dataset(isic2018)
    assert table.attrs["dataset"] == "isic2018"
    assert table.loc[0, ["age", "sex", "localization", "lesion_id"]].tolist() == [
        60.0,
        "female",
        "back",
        "HAM_0",
    ]
    assert table["sex"].tolist()[1:] == ["unknown"] * 11


def test_isic2018_row_without_class(isic2018):
    path = next(isic2018.glob("*/ISIC2018_Task3_Test_GroundTruth.csv"))
    path.write_text(path.read_text().replace("1.0", "0.0"))
    with pytest.raises(DataError, match="`label` must be one of"):
        read_dataset(isic2018)
    assert len(read_dataset(isic2018, skip_bad=True)) == 9


# ISIC 2019


@pytest.fixture
def isic2019(tmp_path):
    root = tmp_path / "isic2019"
    columns = ["MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK"]
    sites = [
        "anterior torso",
        "posterior torso",
        "head/neck",
        "palms/soles",
        "oral/genital",
        "",
        "lateral torso",
    ]
    sites += ["upper extremity", "lower extremity"]
    for part, count in (("Training", 8), ("Test", 9)):
        rows, facts = [], []
        for number in range(count):
            name = f"ISIC_{part}_{number}" + ("_downsampled" if number == 0 else "")
            rows.append(",".join([name, *("1.0" if number == n else "0.0" for n in range(9))]))
            lesion = f"BCN_{number}," if part == "Training" else ""
            facts.append(f"{name},{'' if number == 1 else 40},{sites[number]},{lesion}female")
            image(root / f"ISIC_2019_{part}_Input" / f"{name}.jpg")
        text(root / f"ISIC_2019_{part}_GroundTruth.csv", ",".join(["image", *columns]), *rows)
        lesion = "lesion_id," if part == "Training" else ""
        text(
            root / f"ISIC_2019_{part}_Metadata.csv",
            f"image,age_approx,anatom_site_general,{lesion}sex",
            *facts,
        )
    return root


def test_isic2019(isic2019):
    table = read_dataset(isic2019)
    assert table.attrs["classes"] == ("ak", "bcc", "bkl", "df", "mel", "nv", "scc", "vasc")
    train = table[table["part"] == "train"]
    assert train["label"].tolist() == ["mel", "nv", "bcc", "ak", "bkl", "df", "vasc", "scc"]
    assert train["localization"].tolist() == [
        "trunk",
        "back",
        "face",
        "acral",
        "genital",
        "unknown",
        "trunk",
        "upper extremity",
    ]
    assert np.isnan(train["age"].iat[1])
    assert lesion_count(table) == 8
    (unknown,) = table.attrs["left_out"]
    assert unknown["image_id"] == "ISIC_Test_8"
    assert any("1 images of none of the eight classes" in note for note in table.attrs["notes"])


def test_isic2019_without_metadata_says_so(isic2019):
    (isic2019 / "ISIC_2019_Training_Metadata.csv").unlink()
    table = read_dataset(isic2019)
    assert any("unknown in the train part" in note for note in table.attrs["notes"])


def test_isic2019_metadata_that_names_an_image_twice(isic2019):
    path = isic2019 / "ISIC_2019_Training_Metadata.csv"
    text(path, path.read_text().strip(), path.read_text().splitlines()[1])
    with pytest.raises(DataError, match="once in a metadata table"):
        read_dataset(isic2019)


def test_isic2019_new_site_is_an_error(isic2019):
    path = isic2019 / "ISIC_2019_Training_Metadata.csv"
    path.write_text(path.read_text().replace("head/neck", "left ear"))
    with pytest.raises(DataError, match="Received: 'left ear' for image"):
        read_dataset(isic2019)


# PH2


@pytest.fixture
def ph2(tmp_path):
    root = tmp_path / "PH2Dataset"
    rows = []
    for number, code in enumerate((0, 1, 2, 0)):
        name = f"IMD{number:03d}"
        rows.append(f"|| {name} || {'Melanoma' if code == 2 else ''}  ||  {code} || 0 || T | A || 1 2 ||")
        case = root / "PH2 Dataset images" / name
        image(case / f"{name}_Dermoscopic_Image" / f"{name}.bmp")
        image(case / f"{name}_lesion" / f"{name}_lesion.bmp")
        image(case / f"{name}_roi" / f"{name}_R1_Label3.bmp")
    text(
        root / "PH2_dataset.txt",
        "||   Name  || Histological Diagnosis || Clinical Diagnosis || Asymmetry ||",
        *rows,
        "Legend: 0 - Common Nevus; 1 - Atypical Nevus; 2 - Melanoma.",
    )
    return root


def test_ph2(ph2):
    for path in (ph2, ph2.parent):
        table = read_dataset(path)
        assert table["label"].tolist() == ["common_nevus", "atypical_nevus", "melanoma", "common_nevus"]
        assert table["confirmation"].tolist() == ["clinical", "clinical", "histo", "clinical"]
        assert table.attrs["left_out"] == []
        assert table["image_path"].str.endswith(".bmp").all()


def test_ph2_unknown_diagnosis_and_no_rows(ph2):
    path = ph2 / "PH2_dataset.txt"
    path.write_text(path.read_text().replace("||  2 ||", "||  3 ||"))
    with pytest.raises(DataError, match="`label` must be one of common_nevus"):
        read_dataset(ph2)
    path.write_text("nothing\n")
    with pytest.raises(DataError, match="0 rows of images"):
        read_dataset(ph2)


# DermaMNIST


def archive(path, size=28, counts=(14, 7, 7), **other):
    rng = np.random.default_rng(size)
    arrays = {}
    for part, count in zip(("train", "val", "test"), counts, strict=True):
        arrays[f"{part}_images"] = rng.integers(0, 255, (count, size, size, 3), dtype=np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count) % 7).astype(np.uint8)[:, None]
    np.savez_compressed(path, **{**arrays, **other})
    return arrays


@pytest.mark.parametrize("size", [28, 64, 128, 224])
def test_dermamnist_of_every_size(tmp_path, size):
    path = tmp_path / ("dermamnist.npz" if size == 28 else f"dermamnist_{size}.npz")
    arrays = archive(path, size)
    table = read_dataset(path)
    assert table["part"].value_counts().to_dict() == {"train": 14, "validation": 7, "test": 7}
    assert table["label"].tolist()[:7] == HAM
    with Image.open(table["image_path"].iat[3]) as first:
        np.testing.assert_array_equal(np.asarray(first), arrays["train_images"][3])
    assert any(f"{size}x{size}" in note for note in table.attrs["notes"])
    split = make_split(table)
    assert split.protocol == "official"
    assert "leaky" in split.stamps


def test_dermamnist_is_extracted_once(tmp_path):
    path = tmp_path / "dermamnist.npz"
    archive(path)
    first = read_dataset(path)
    stamps = [(p, Path(p).stat().st_mtime_ns) for p in first["image_path"]]
    again = read_dataset(tmp_path)
    assert [(p, Path(p).stat().st_mtime_ns) for p in again["image_path"]] == stamps
    archive(path, counts=(7, 7, 7))
    assert not set(read_dataset(path)["image_path"]) & set(first["image_path"])


def test_dermamnist_several_sizes_need_a_choice(tmp_path):
    archive(tmp_path / "dermamnist.npz")
    archive(tmp_path / "dermamnist_64.npz", 64)
    with pytest.raises(DataError, match="sizes 28, 64") as caught:
        read_dataset(tmp_path)
    assert "size=" in caught.value.hint
    table = read_dataset(tmp_path, options={"size": "64"})
    with Image.open(table["image_path"].iat[0]) as first:
        assert first.size == (64, 64)
    with pytest.raises(DataError, match="not 224"):
        read_dataset(tmp_path, options={"size": 224})


@pytest.mark.parametrize(
    "other",
    [
        {"train_images": np.zeros((14, 28, 28), np.uint8)},
        {"train_images": np.zeros((14, 28, 28, 3), np.float32)},
        {"train_labels": np.full((14, 1), 9, np.uint8)},
        {"train_labels": np.zeros((14, 1), np.float32)},
    ],
)
def test_dermamnist_of_another_shape(tmp_path, other):
    archive(tmp_path / "dermamnist.npz", **other)
    with pytest.raises(DataError, match="must be"):
        read_dataset(tmp_path)


def test_dermamnist_damaged(tmp_path):
    path = tmp_path / "dermamnist.npz"
    archive(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="must be an npz file"):
        read_dataset(path)
    middle = len(content) // 3
    path.write_bytes(content[:middle] + bytes(64) + content[middle + 64 :])
    with pytest.raises(DataError, match="must be an npz file"):
        read_dataset(path)
    np.savez(path, train_images=np.zeros((1, 28, 28, 3), np.uint8))
    with pytest.raises(DataError, match="must be an npz file"):
        read_dataset(path)


# One folder a class


@pytest.fixture
def classes(tmp_path):
    root = tmp_path / "Fotos mit Leerzeichen é"
    for name in ("naevus", "Mélanome malin"):
        for number in range(3):
            image(root / name / f"{number}.png")
    return root


def test_folders(classes):
    table = read_dataset(classes)
    assert table.attrs["dataset"] == "folder"
    assert table.attrs["classes"] == ("Mélanome malin", "naevus")
    assert table["image_id"].tolist()[0] == "Mélanome malin/0.png"
    assert set(table["part"]) == {""}
    assert len(table) == 6


def test_folders_with_chosen_order_and_fewer_classes(classes):
    table = read_dataset(classes, options={"classes": "naevus, Mélanome malin"})
    assert table.attrs["classes"] == ("naevus", "Mélanome malin")
    table = read_dataset(classes, options={"classes": "naevus"})
    assert len(table) == 3
    assert len(table.attrs["left_out"]) == 3
    with pytest.raises(DataError, match="none for 'melanoma'"):
        read_dataset(classes, options={"classes": "naevus,melanoma"})


def test_folders_of_parts(tmp_path):
    for part in ("train", "val", "test"):
        for name in ("a", "b"):
            image(tmp_path / part / name / "1.jpg")
    table = read_dataset(tmp_path)
    assert table["part"].value_counts().to_dict() == {"train": 2, "validation": 2, "test": 2}
    assert table.attrs["classes"] == ("a", "b")
    image(tmp_path / "valid" / "a" / "2.jpg")
    with pytest.raises(DataError, match="One folder must stand for the part 'validation'"):
        read_dataset(tmp_path, "folder")


def test_stray_and_unread_files_are_listed(classes):
    image(classes / "stray.jpg")
    (classes / "naevus" / "scan.tiff").write_bytes(b"II*")
    table = read_dataset(classes)
    assert {entry["image_id"] for entry in table.attrs["left_out"]} == {"stray.jpg", "scan"}
    assert any("2 files were left out" in note for note in table.attrs["notes"])


def test_empty_folders(classes, tmp_path):
    (classes / "leer").mkdir()
    with pytest.raises(DataError, match="none in 'leer'"):
        read_dataset(classes)
    table = read_dataset(classes, skip_bad=True)
    assert table.attrs["classes"] == ("Mélanome malin", "naevus")
    assert any("leer" in note for note in table.attrs["notes"])
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="which is an empty folder"):
        read_dataset(empty)
    with pytest.raises(DataError, match="no folders"):
        read_dataset(empty, "folder")


def test_ham10000_without_its_table_is_not_taken_for_classes(ham):
    (ham / "HAM10000_metadata.csv").unlink()
    with pytest.raises(DataError, match="holds images but neither a table nor"):
        read_dataset(ham)


# Tables of one's own


@pytest.fixture
def own(tmp_path):
    for name in ("a", "b", "sub/c"):
        image(tmp_path / "photos" / f"{name}.png")
    text(
        tmp_path / "cases.csv",
        "file,diagnosis,years,patient,where,gender,fold",
        "a.png,benign,44,p1,left arm,F,training",
        "b,malignant,,p1,back,m,val",
        "sub/c.png,benign,61,p2,,,test",
    )
    return tmp_path


OWN = {
    "image": "file",
    "label": "diagnosis",
    "age": "years",
    "lesion_id": "patient",
    "sex": "gender",
    "part": "fold",
    "images": "photos",
}


def test_columns_by_options(own):
    table = read_dataset(own / "cases.csv", "csv", options=OWN)
    assert table["image_id"].tolist() == ["a", "b", "sub/c"]
    assert table["label"].tolist() == ["benign", "malignant", "benign"]
    assert table["part"].tolist() == ["train", "validation", "test"]
    assert table["lesion_id"].tolist() == ["p1", "p1", "p2"]
    assert table["sex"].tolist() == ["female", "male", "unknown"]
    assert table["localization"].tolist() == ["unknown"] * 3
    assert table.attrs["classes"] == ("benign", "malignant")


def test_columns_by_toml(own):
    lines = [
        'images = "photos"',
        'classes = ["malignant", "benign"]',
        "[columns]",
        *(f'{name} = "{column}"' for name, column in OWN.items() if name != "images"),
        'localization = "where"',
        "[values.localization]",
        '"left arm" = "upper extremity"',
    ]
    text(own / "cases.toml", *lines)
    table = read_dataset(own / "cases.csv")
    assert table.attrs["classes"] == ("malignant", "benign")
    assert table["localization"].tolist() == ["upper extremity", "back", "unknown"]
    (own / "cases.toml").unlink()
    text(own / "skinzoo.toml", 'table = "cases.csv"', *lines)
    assert read_dataset(own).equals(table)


def test_the_guides_example_of_an_own_table(tmp_path):
    page = (Path(__file__).parents[3] / "docs" / "data.md").read_text()
    files = re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", page, re.DOTALL)
    assert [name for name, _ in files] == ["skinzoo.toml", "cases.csv"]
    for name, content in files:
        (tmp_path / name).write_text(content)
    for number in (1, 2, 3):
        image(tmp_path / "photos" / f"{number}.jpg")
    table = read_dataset(tmp_path)
    assert table["label"].tolist() == ["benign", "benign", "malignant"]
    assert table["lesion_id"].tolist() == ["a", "a", "b"]
    assert table["age"].tolist() == [40, 40, 65]
    assert table["sex"].tolist() == ["female", "female", "male"]
    assert table["localization"].tolist() == ["back", "back", "upper extremity"]
    assert table.attrs["classes"] == ("benign", "malignant")


def test_usual_names_need_no_mapping(own):
    text(own / "photos" / "t.csv", "image,label,age", "a,x,30", "b.png,y,40")
    table = read_dataset(own / "photos" / "t.csv")
    assert table["age"].tolist() == [30, 40]
    assert [entry["image_id"] for entry in table.attrs["left_out"]] == ["c"]
    assert any("1 images on disk have no row" in note for note in table.attrs["notes"])


def test_value_outside_the_vocabulary(own):
    with pytest.raises(DataError, match="Received: 'left arm' for image 'a'"):
        read_dataset(own / "cases.csv", "csv", options={**OWN, "localization": "where"})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"image": "fil"}, DataError, "must have the column fil"),
        ({"label": ""}, None, ""),
        ({"images": "fotos"}, DataError, "folder of the images must exist"),
        ({"classes": "benign"}, DataError, "`label` must be one of benign"),
        ({"imagess": "photos"}, UsageError, "Received: 'imagess'"),
    ],
)
def test_wrong_options(own, options, error, message):
    if error is None:
        assert len(read_dataset(own / "cases.csv", "csv", options={**OWN, **options})) == 3
        return
    with pytest.raises(error, match=message):
        read_dataset(own / "cases.csv", "csv", options={**OWN, **options})


def test_table_without_label_column(own):
    text(own / "t.csv", "image,kind", "a,x")
    with pytest.raises(DataError, match="must have the column label"):
        read_dataset(own / "t.csv", "csv")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["[columns]", 'imag = "file"'], "Received: 'imag'"),
        (['colums = "x"'], "Received: 'colums'"),
        (["classes = 3"], "`classes` of"),
        (["[columns]", "image = 3"], "`columns` of"),
        (["images = 3"], "`images` of"),
        (["[values.age]", '"x" = "3"'], "Received: 'age'"),
        (["not toml"], "must be a TOML file"),
    ],
)
def test_wrong_toml(own, lines, message):
    text(own / "cases.toml", *lines)
    with pytest.raises(DataError, match=message):
        read_dataset(own / "cases.csv")


# Finding data and datasets


def test_names_options_and_paths(ham, tmp_path):
    assert find_dataset(ham).name == "ham10000"
    assert find_dataset(None, "PH2").name == "ph2"
    with pytest.raises(UnknownNameError, match="HAM1000"):
        read_dataset(ham, "HAM1000")
    with pytest.raises(DataError, match="must be a path that exists"):
        read_dataset(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="Either a path or a dataset's name"):
        read_dataset()
    with pytest.raises(DataError, match="Dataset 'ph2' must be given a path"):
        read_dataset(None, "ph2")
    with pytest.raises(UsageError, match="Did you mean 'images'"):
        read_dataset(None, "sample", options={"image": 60})


def test_two_datasets_that_recognise_a_path(ham):
    image(ham / "PH2 Dataset images" / "IMD001" / "IMD001.bmp")
    text(ham / "PH2_dataset.txt", "|| IMD001 || || 0 ||")
    with pytest.raises(DataError, match="looks like ham10000, ph2") as caught:
        read_dataset(ham)
    assert "--dataset ham10000" in caught.value.hint
    assert len(read_dataset(ham, "ham10000")) == 8


def test_option_types():
    sample = spec("sample")
    assert checked_options(sample, {"images": "60"}) == {"images": 60, "width": 120, "seed": 0}
    for value in ("many", "3.5", True, None, 3.5):
        with pytest.raises(UsageError, match="must be of type int"):
            checked_options(sample, {"images": value})


def test_a_reader_that_breaks_names_itself(monkeypatch, tmp_path):
    from dataclasses import replace

    from skinzoo.data import read

    def broken(path):
        raise ZeroDivisionError

    monkeypatch.setattr(read, "_specs", lambda: [replace(spec("ph2"), recognises=broken)])
    with pytest.raises(PluginError, match="Dataset 'ph2' failed to look at"):
        read.find_dataset(tmp_path)


def test_order_of_sources(ham, own, monkeypatch):
    data = resolve_data()
    assert (data.path, data.dataset, data.origin) == (None, "sample", "default")
    assert "skinzoo data use" in data.notice

    use_data(str(ham))
    assert (resolve_data().path, resolve_data().origin) == (ham, "skinzoo data use")
    assert used_data() == str(ham)

    monkeypatch.setenv("SKINZOO_DATA", str(own))
    assert resolve_data().path == own
    assert resolve_data("sample").dataset == "sample"
    assert resolve_data(str(ham)).origin == "--data"
    assert resolve_data(str(ham)).notice == ""

    monkeypatch.delenv("SKINZOO_DATA")
    forget_data()
    assert resolve_data().dataset == "sample"


def test_relative_paths_are_remembered_as_absolute_ones(ham, monkeypatch):
    monkeypatch.chdir(ham.parent)
    use_data(ham.name)
    monkeypatch.chdir("/")
    assert resolve_data().path == ham


def test_named_datasets_must_be_downloaded(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="must have been downloaded") as caught:
        resolve_data("ham10000")
    assert "skinzoo data download ham10000" in caught.value.hint
    monkeypatch.setenv("SKINZOO_HOME", str(tmp_path))
    (tmp_path / "datasets" / "ham10000").mkdir(parents=True)
    assert resolve_data("HAM10000").path == tmp_path / "datasets" / "ham10000"


def test_what_cannot_be_resolved(monkeypatch, tmp_path):
    with pytest.raises(DataError, match="`--data` must be a path that exists") as caught:
        resolve_data("ham1000")
    assert "ham10000" in caught.value.hint
    (tmp_path / "lesions").mkdir()
    with pytest.raises(DataError) as caught:
        resolve_data(str(tmp_path / "lesion"))
    assert caught.value.hint == f"Did you mean '{tmp_path / 'lesions'}'?"
    with pytest.raises(DataError) as caught:
        resolve_data(str(tmp_path / "photographs"))
    assert "lesions" not in caught.value.hint
    monkeypatch.setenv("SKINZOO_DATA", "/nowhere")
    with pytest.raises(DataError, match="`SKINZOO_DATA` must be"):
        resolve_data()
    monkeypatch.delenv("SKINZOO_DATA")
    monkeypatch.setenv("SKINZOO_HOME", str(tmp_path))
    with pytest.raises(DataError, match="which is an empty folder"):
        use_data(str(tmp_path))
    assert used_data() is None
    (tmp_path / "data.json").write_text("[]")
    with pytest.raises(DataError, match="with the key 'data'"):
        resolve_data()
    (tmp_path / "data.json").write_text(json.dumps({"data": "/gone"}))
    with pytest.raises(DataError, match="`skinzoo data use` must be a path that exists"):
        resolve_data()


def test_table_from_a_reader_is_checked(monkeypatch, ham):
    from dataclasses import replace

    from skinzoo.data import read

    real = spec("ham10000")
    monkeypatch.setattr(
        read,
        "find_dataset",
        lambda *_: replace(real, read=lambda request: real.read(request).assign(age=200.0)),
    )
    with pytest.raises(DataError, match=r"within 0..120"):
        read.read_dataset(ham)
