"""What backbone modules have in common lives in one place, so a new Keras backbone is a short module."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "plugins" / "skinzoo_zoo" / "backbones"
SIMPLE = sorted(
    path
    for path in FOLDER.glob("*.py")
    # A cut that must tell two branches apart takes a line more.
    if "keras_application(" in (text := path.read_text())
    and text.count("Cut(") == 1
    and "leads_to=" not in text
)


def test_most_backbones_are_simple():
    assert len(SIMPLE) > 15


@pytest.mark.parametrize("path", SIMPLE, ids=lambda path: path.stem)
def test_a_keras_backbone_with_one_cut_takes_under_forty_lines(path):
    assert len(path.read_text().splitlines()) < 40
