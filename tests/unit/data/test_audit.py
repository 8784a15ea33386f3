"""The audit finds what is planted, says nothing of what is fine, and tells leaks by its exit code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from scipy.ndimage import gaussian_filter

from skinzoo.data.audit import SEVERITIES, audit, near_duplicate_groups
from skinzoo.data.read import find_dataset, read_dataset
from skinzoo.data.splits import Split, make_split
from skinzoo.data.table import make_table
from skinzoo.specs import DatasetFacts, DatasetSpec
from skinzoo.vocabulary import LOCALIZATION

CLASSES = ("mel", "nv")


def draw(path, seed, size=(80, 60)):
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(size[1], size[0])), 1)
    Image.fromarray(np.clip(150 + 120 * noise, 0, 255).astype(np.uint8)).convert("RGB").save(path, quality=95)


@pytest.fixture
def rows(tmp_path):
    """Twelve images of six lesions, all different."""
    folder = tmp_path / "data set é"
    folder.mkdir()
    made = []
    for i in range(12):
        path = folder / f"image{i:02}.jpg"
        draw(path, i)
        made.append(
            {
                "image_path": str(path),
                "image_id": path.stem,
                "lesion_id": f"lesion{i // 2}",
                "label": CLASSES[i // 2 % 2],
                "age": 40 + i,
                "sex": "male",
                "localization": "back",
            }
        )
    return made


def table_of(rows, **options):
    return make_table(
        {name: [row.get(name, "") for row in rows] for name in rows[0]},
        dataset="planted",
        classes=CLASSES,
        skip_bad=True,
        **options,
    )


def kinds(report):
    return {finding.kind for finding in report.findings}


def folder_of(rows):
    return Path(rows[0]["image_path"]).parent


def split_of(table, assignment):
    counts = {part: dict.fromkeys(CLASSES, 0) for part in ("train", "test")}
    return Split(
        protocol="given",
        seed=0,
        options={},
        dataset="planted",
        classes=CLASSES,
        assignment=assignment,
        dropped={},
        aliases={},
        stamps=(),
        warnings=(),
        counts=counts,
        crossing=0,
        fingerprint="",
        cases="",
    )


def by_position(rows, last_of_train):
    return {row["image_id"]: "train" if i <= last_of_train else "test" for i, row in enumerate(rows)}


def test_nothing_is_said_of_good_data(rows):
    report = audit(table_of(rows), path=folder_of(rows))
    assert report.findings == ()
    assert report.exit_code == 0 and not report.leaks
    assert (report.images, report.lesions) == (12, 6)
    assert report.class_counts == {"mel": 6, "nv": 6}
    assert report.image_sizes == {"80x60": 12}


def test_unreadable_images(rows):
    truncated = Path(rows[3]["image_path"])
    truncated.write_bytes(truncated.read_bytes()[:1200])
    Path(rows[4]["image_path"]).write_text("text")
    report = audit(table_of(rows))
    found = report.of_kind("unreadable-image")
    assert [item["image_id"] for item in found.items] == ["image03", "image04"]
    assert "truncated" in found.items[0]["reason"] and "another kind" in found.items[1]["reason"]
    assert found.severity == "error" and report.exit_code == 3
    assert report.image_sizes == {"80x60": 10}


def test_rows_without_an_image_and_images_without_a_row(rows):
    Path(rows[0]["image_path"]).unlink()
    draw(folder_of(rows) / "stranger.jpg", 99)
    (folder_of(rows) / "image01_segmentation.png").write_bytes(b"a mask is no stranger")
    report = audit(table_of(rows), path=folder_of(rows))
    assert [item["image_id"] for item in report.of_kind("row-without-image").items] == ["image00"]
    assert [item["image_id"] for item in report.of_kind("image-without-row").items] == ["stranger"]
    assert kinds(report) == {"row-without-image", "image-without-row"}
    assert report.exit_code == 3


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"image_id": "image00"}, "duplicate-id"),
        ({"image_id": ""}, "no-id"),
        ({"label": "melanoma"}, "unknown-class"),
        ({"age": -1}, "age-out-of-range"),
        ({"age": 200}, "age-out-of-range"),
        ({"age": "old"}, "age-out-of-range"),
        ({"sex": "x"}, "sex-out-of-vocabulary"),
        ({"localization": "moon"}, "localization-out-of-vocabulary"),
        ({"part": "exam"}, "unknown-part"),
    ],
)
def test_rows_that_break_a_rule(rows, change, kind):
    rows = [{"part": "", **row} for row in rows]
    rows[5].update(change)
    report = audit(table_of(rows))
    found = report.of_kind(kind)
    assert found.severity == "error" and len(found.items) == 1
    assert next(iter(change.values())) == "" or str(next(iter(change.values()))) in found.items[0]["reason"]
    assert report.exit_code == 3


def test_a_table_made_by_hand_is_checked_too(rows):
    table = table_of(rows)
    table.loc[2, "age"] = 150.0
    report = audit(table)
    assert kinds(report) == {"age-out-of-range"} and report.images == 11


def test_conflicting_labels_in_a_lesion(rows):
    rows[1]["label"] = "nv"
    found = audit(table_of(rows)).of_kind("conflicting-labels")
    assert found.items == ({"lesion_id": "lesion0", "labels": ["mel", "nv"]},)
    assert found.severity == "warning"


def test_identical_files(rows):
    shutil.copy(rows[0]["image_path"], rows[1]["image_path"])
    shutil.copy(rows[4]["image_path"], rows[7]["image_path"])
    report = audit(table_of(rows))
    assert kinds(report) == {"identical-files", "identical-files-across-lesions"}
    assert report.of_kind("identical-files").items[0]["image_ids"] == ["image00", "image01"]
    across = report.of_kind("identical-files-across-lesions")
    assert across.items[0]["lesion_ids"] == ["lesion2", "lesion3"]
    assert (report.of_kind("identical-files").severity, across.severity) == ("note", "warning")


def test_near_duplicates_across_lesions_only(rows):
    ImageOps.mirror(Image.open(rows[0]["image_path"])).save(rows[5]["image_path"], quality=80)
    Image.open(rows[2]["image_path"]).save(rows[3]["image_path"], quality=60)
    report = audit(table_of(rows))
    assert kinds(report) == {"near-duplicates"}
    (item,) = report.of_kind("near-duplicates").items
    assert item["image_ids"] == ["image00", "image05"] and item["orientation"] == "mirrored"
    assert report.exit_code == 0


def test_orientation_and_missing_values(rows):
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.open(rows[2]["image_path"]).save(rows[2]["image_path"], exif=exif, quality=95)
    rows[0]["age"], rows[1]["sex"], rows[2]["localization"] = "", "unknown", "n/a"
    report = audit(table_of(rows))
    assert report.of_kind("exif-orientation").items == ({"image_id": "image02", "orientation": 3},)
    assert report.missing == {"age": 1, "sex": 1, "localization": 1}
    assert kinds(report) == {"exif-orientation", "missing-age", "missing-sex", "missing-localization"}
    assert report.of_kind("missing-age").as_dict()["count"] == 1


def test_data_without_lesion_ids_say_so(rows):
    for row in rows:
        row["lesion_id"] = ""
    assert kinds(audit(table_of(rows))) == {"no-lesion-ids"}


def test_the_publication_is_compared(rows):
    spec = DatasetSpec(
        name="planted",
        title="t",
        read=lambda request: None,
        classes=CLASSES,
        recognises=lambda path: False,
        licence="none",
        facts=DatasetFacts(class_counts={"mel": 6, "nv": 7}, images=13, lesions=7, image_size=(600, 450)),
    )
    report = audit(table_of(rows, notes=["The reader's own note."]), spec=spec)
    assert kinds(report) == {"class-counts", "images-count", "lesions-count", "resolution", "reader-note"}
    assert report.of_kind("class-counts").items == ({"label": "nv", "images": 6, "published": 7},)
    assert "600x450" in report.of_kind("resolution").message
    assert report.of_kind("resolution").as_dict()["count"] == 12


def test_a_lesion_that_crosses_the_split(rows):
    table = table_of(rows)
    report = audit(table, split_of(table, by_position(rows, 6)))
    (item,) = report.of_kind("lesions-cross-split").items
    assert item == {"lesion_id": "lesion3", "parts": ["test", "train"], "images": 2}
    assert report.leaks and report.exit_code == 3
    honest = audit(table, split_of(table, by_position(rows, 5)))
    assert honest.findings == () and not honest.leaks and honest.exit_code == 0
    assert honest.split and honest.split != report.split


def test_identical_files_that_cross_the_split(rows):
    shutil.copy(rows[0]["image_path"], rows[11]["image_path"])
    table = table_of(rows)
    report = audit(table, split_of(table, by_position(rows, 5)))
    assert report.of_kind("identical-files-cross-split").items[0]["parts"] == ["train", "test"]
    assert report.leaks and report.exit_code == 3


@pytest.mark.parametrize("with_ids", [True, False])
def test_near_duplicates_that_cross_the_split(rows, with_ids):
    Image.open(rows[0]["image_path"]).save(rows[11]["image_path"], quality=70)
    if not with_ids:
        for row in rows:
            row["lesion_id"] = ""
    table = table_of(rows)
    report = audit(table, split_of(table, by_position(rows, 5)))
    found = report.of_kind("near-duplicates-cross-split")
    assert found.items[0]["image_ids"] == ["image00", "image11"]
    assert (found.severity, report.leaks) == (("warning", False) if with_ids else ("error", True))


def test_a_split_of_other_images(rows):
    table = table_of(rows)
    assignment = by_position(rows, 5) | {"elsewhere": "test"}
    del assignment["image00"]
    report = audit(table, split_of(table, assignment))
    assert report.of_kind("split-names-absent-images").items == ({"image_id": "elsewhere"},)
    assert report.of_kind("not-in-split").items == ({"image_id": "image00"},)
    assert report.exit_code == 3


def test_the_report_is_strict_json_with_errors_first(rows):
    Path(rows[4]["image_path"]).write_text("text")
    rows[0]["age"] = ""
    rows[1]["label"] = "nv"
    document = json.loads(json.dumps(audit(table_of(rows)).as_dict(), allow_nan=False))
    severities = [finding["severity"] for finding in document["findings"]]
    assert severities == sorted(severities, key=SEVERITIES.index) == ["error", "warning", "note"]
    assert document["severity_counts"] == {"error": 1, "warning": 1, "note": 1}


def test_groups_of_near_duplicates(rows):
    Image.open(rows[0]["image_path"]).save(rows[5]["image_path"], quality=70)
    shutil.copy(rows[8]["image_path"], rows[11]["image_path"])
    groups = near_duplicate_groups(table_of(rows))
    together = [{f"image{i:02}" for i in which} for which in ((0, 1, 4, 5), (2, 3), (6, 7), (8, 9, 10, 11))]
    found = {}
    for image, group in groups.items():
        found.setdefault(group, set()).add(image)
    assert sorted(found.values(), key=min) == together
    assert set(found) == {"lesion0", "lesion1", "lesion3", "lesion4"}


def test_groups_without_lesion_ids(rows):
    Image.open(rows[0]["image_path"]).save(rows[5]["image_path"], quality=70)
    Path(rows[7]["image_path"]).write_text("unreadable")
    for row in rows:
        row["lesion_id"] = ""
    groups = near_duplicate_groups(table_of(rows))
    assert groups["image00"] == groups["image05"] == "image00"
    assert len(set(groups.values())) == 11


def test_all_terms_of_the_vocabulary_are_fine(rows):
    for row, term in zip(rows, LOCALIZATION.terms, strict=False):
        row["localization"] = term
    assert kinds(audit(table_of(rows))) <= {"missing-localization"}


@pytest.fixture(scope="module")
def ham_report(ham10000, tmp_path_factory):
    """The audit of all of HAM10000 with the leaky split of the paper, made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKINZOO_HOME", str(tmp_path_factory.mktemp("home")))
        table = read_dataset(ham10000, skip_bad=True)
        spec = find_dataset(None, "ham10000")
        return audit(table, make_split(table, "paper"), ham10000, spec=spec)


@pytest.mark.realdata
def test_ham10000(ham_report):
    assert (ham_report.images, ham_report.lesions) == (10015, 7470)
    assert ham_report.missing == {"age": 57, "sex": 57, "localization": 234}
    identical = ham_report.of_kind("identical-files")
    assert [len(item["image_ids"]) for item in identical.items] == [2, 2]
    assert all(len(set(item["lesion_ids"])) == 1 for item in identical.items)
    assert ham_report.of_kind("identical-files-across-lesions") is None
    assert "600x450" in ham_report.of_kind("resolution").message
    assert ham_report.of_kind("class-counts") is None
    assert ham_report.of_kind("unreadable-image") is None


@pytest.mark.realdata
def test_near_duplicates_of_ham10000_across_lesions(ham_report):
    pairs = [item["image_ids"] for item in ham_report.of_kind("near-duplicates").items]
    assert pairs[0] == ["ISIC_0030074", "ISIC_0025226"]
    assert len(pairs) == 9


@pytest.mark.realdata
def test_the_paper_split_of_ham10000_leaks(ham_report):
    assert ham_report.leaks and ham_report.exit_code == 3
    assert len(ham_report.of_kind("lesions-cross-split").items) == 382
