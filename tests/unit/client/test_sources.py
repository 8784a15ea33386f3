"""Cases from images, folders, tables and JSON lines."""

import base64
import json
from pathlib import Path

import pytest

from skinzoo.client.cases import ready
from skinzoo.client.model import Model
from skinzoo.client.sources import read_source
from skinzoo.errors import DataError, UsageError

MODEL = Model(name="m", version=1, classes=("a", "b"), sex=("female", "male", "unknown"))


@pytest.fixture
def folder(sample_folder, tmp_path):
    """A folder with three images in subfolders, and things that are no images."""
    images = sorted((sample_folder / "images").iterdir())[:3]
    for name, source in zip(("b.jpg", "a.jpg", "deep/c.JPG"), images, strict=True):
        target = tmp_path / "pictures" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    (tmp_path / "pictures" / "notes.txt").write_text("no image")
    (tmp_path / "pictures" / ".hidden.jpg").write_text("no image")
    return tmp_path / "pictures"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def cases_of(*paths, **options):
    source = read_source(list(paths), **options)
    found = list(source.cases())
    assert len(found) == source.total
    # They can be gone through again, which is what going on with a batch needs.
    assert list(source.cases()) == found
    return found


def test_a_folder_in_the_order_of_its_paths(folder):
    assert [one.id for one in cases_of(folder)] == ["a.jpg", "b.jpg", "deep/c.JPG"]


def test_images_with_what_is_known(folder):
    found = cases_of(folder / "a.jpg", folder / "b.jpg", age=50, sex="f", localization="back")
    assert [Path(one.image) for one in found] == [folder / "a.jpg", folder / "b.jpg"]
    assert {(one.age, one.sex, one.localization) for one in found} == {(50, "f", "back")}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_table_with_paths(folder, separator, mark):
    rows = [
        ("Image", "age", "sex", "localization", "dx"),
        ("a.jpg", "50", "f", "back", "nv"),
        (str(folder / "b.jpg"), "", "", "", ""),
        ("deep\\c.JPG", "NaN", "unknown", "n/a", "mel"),
    ]
    table = write(folder / "cases.csv", mark + "".join(separator.join(row) + "\r\n" for row in rows))
    found = cases_of(table)
    assert [one.id for one in found] == ["a.jpg", str(folder / "b.jpg"), "deep\\c.JPG"]
    checked = [ready(one, MODEL) for one in found]
    assert [(one.age, one.sex, one.localization) for one in checked[:1]] == [(50, "female", "back")]
    assert all(one.age != one.age and one.sex == one.localization == "unknown" for one in checked[1:])
    assert [one.image for one in checked] == [
        (folder / name).read_bytes() for name in ("a.jpg", "b.jpg", "deep/c.JPG")
    ]


def test_a_table_of_ids_finds_images_in_a_folder(folder, tmp_path):
    table = write(tmp_path / "metadata.csv", "lesion_id,image_id,age\nl1,c,5\nl1,b.jpg,\nl2,gone,7\n")
    found = cases_of(table, images=folder)
    assert [one.id for one in found] == ["c", "b.jpg", "gone"]
    assert [Path(one.image).name for one in found[:2]] == ["c.JPG", "b.jpg"]
    with pytest.raises(DataError, match=r"There must be one image 'gone' in .* Received: none"):
        ready(found[2], MODEL)
    # Without --images the table's own folder is searched.
    assert [Path(one.image).name for one in cases_of(table)[:2]] == ["c.JPG", "b.jpg"]


def test_an_id_of_two_images_is_an_error_of_its_row(folder):
    (folder / "deep" / "a.png").write_bytes((folder / "a.jpg").read_bytes())
    found = cases_of(write(folder / "t.csv", "image_id\na\nb\n"))
    with pytest.raises(DataError, match=r"one image 'a' .*a\.jpg.*a\.png"):
        ready(found[0], MODEL)
    assert ready(found[1], MODEL).image


def test_an_id_with_a_dot_is_not_cut(folder):
    (folder / "x.jpg").write_bytes((folder / "a.jpg").read_bytes())
    case = cases_of(write(folder / "t.csv", "image_id\nx.1\na\n"))[0]
    with pytest.raises(DataError, match=r"one image 'x\.1'"):
        ready(case, MODEL)


def test_json_lines(folder):
    image = (folder / "a.jpg").read_bytes()
    rows = [
        {"id": 7, "image": "a.jpg", "age": 50, "sex": "male"},
        {"image_base64": base64.b64encode(image).decode(), "age": None, "sex": None},
        {"image_base64": "%%%"},
        {"age": 5},
    ]
    path = write(folder / "cases.jsonl", "\n\n".join(map(json.dumps, rows)) + "\n")
    found = cases_of(path)
    assert [one.id for one in found] == ["7", "", "", ""]
    assert [ready(one, MODEL).image for one in found[:2]] == [image, image]
    with pytest.raises(DataError, match="must be base64"):
        ready(found[2], MODEL)
    with pytest.raises(DataError, match=r"must have an image. Received: none"):
        ready(found[3], MODEL)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("t.csv", "name,age\nx,5\n", "must have one of the columns image, .*Received: .* with name, age"),
        ("t.csv", "", "with none"),
        ("t.csv", "image,age\n", "must have rows"),
        ("t.csv", "image_id\nISIC_1\nISIC_2\n", "of whose rows none does; the first: .*'ISIC_1'"),
        ("t.jsonl", "", "must have lines"),
        ("t.jsonl", '{"image": "a.jpg"}\n{"image": \n', "line 2"),
        ("t.jsonl", '["a.jpg"]\n', "line 1"),
    ],
)
def test_a_file_without_cases(folder, name, text, words):
    with pytest.raises(DataError, match=words):
        read_source([write(folder / name, text)])


def test_what_is_no_text(folder):
    for name in ("t.csv", "t.jsonl"):
        (folder / name).write_bytes(b"image\n\xff\xfe\x00\n")
        with pytest.raises(DataError, match="in UTF-8"):
            read_source([folder / name])


def test_paths_that_hold_nothing(tmp_path):
    with pytest.raises(DataError, match="must exist"):
        read_source([tmp_path / "gone"])
    with pytest.raises(DataError, match=r"must hold images .*Received: none"):
        read_source([tmp_path])
    with pytest.raises(DataError, match="--images must be a folder"):
        read_source([write(tmp_path / "t.csv", "image\nx\n")], images=tmp_path / "gone")


def test_arguments_that_do_not_go_together(folder):
    with pytest.raises(UsageError, match="must be the only argument"):
        read_source([folder, folder / "a.jpg"])
    with pytest.raises(UsageError, match="--age, --sex and --localization must come with images"):
        read_source([folder], age=5)
    with pytest.raises(UsageError, match="--images must come with a table"):
        read_source([folder / "a.jpg"], images=folder)


def test_a_parquet_table_is_as_the_same_csv(folder, tmp_path):
    pa = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    pq = pytest.importorskip("pyarrow.parquet")
    images = [folder / "a.jpg", folder / "b.jpg"]
    columns = {
        "ID": ["a", "b"],
        "image_path": [str(path) for path in images],
        "Age": pa.array([55.0, None]),
        "sex": ["f", None],
    }
    pq.write_table(pa.table(columns), tmp_path / "cases.parquet")
    table = write(tmp_path / "cases.csv", f"id,image_path,age,sex\na,{images[0]},55,f\nb,{images[1]},,\n")
    found, expected = (
        [ready(case, MODEL) for case in cases_of(path)] for path in (tmp_path / "cases.parquet", table)
    )
    assert [str(one) for one in found] == [str(one) for one in expected]
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="readable Parquet file"):
        cases_of(tmp_path / "bad.parquet")
