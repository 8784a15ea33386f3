"""Finding the cut by anchor and path."""

import keras
import pytest

from skinzoo.errors import ModelError
from skinzoo.model.cutting import cut_backbone
from skinzoo.specs import WHOLE, Cut
from skinzoo.variants import resolve_variant


@pytest.fixture
def branched():
    image = keras.Input((8, 8, 3))
    stem = keras.layers.ReLU(name="stem")(image)
    short = keras.layers.BatchNormalization(name="short_norm")(keras.layers.Conv2D(4, 1)(stem))
    long = keras.layers.BatchNormalization(name="long_norm")(keras.layers.Conv2D(4, 1)(stem))
    long = keras.layers.Conv2D(4, 3, padding="same")(long)
    return keras.Model(image, keras.layers.Concatenate()([short, long]), name="branched")


def test_follows_a_path_and_tells_branches_apart(branched):
    cut = Cut(name="c", anchor="stem", path=("Conv2D", "BatchNormalization"), leads_to=("Concatenate",))
    trunk = cut_backbone(branched, cut, name="trunk")
    assert trunk.layers[-1].name == "short_norm"
    other = Cut(name="c", anchor="stem", path=("Conv2D", "BatchNormalization"), leads_to=("Conv2D",))
    assert cut_backbone(branched, other, name="trunk").layers[-1].name == "long_norm"


def test_an_ambiguous_path_is_an_error(branched):
    cut = Cut(name="c", anchor="stem", path=("Conv2D", "BatchNormalization"))
    with pytest.raises(ModelError, match=r"exactly one place of branched\. Received: 2 places"):
        cut_backbone(branched, cut, name="trunk")


def test_a_path_that_leads_nowhere_is_an_error(branched):
    with pytest.raises(ModelError, match="Received: 0 places"):
        cut_backbone(branched, Cut(name="c", anchor="stem", path=("Dense",)), name="trunk")


def test_an_unknown_anchor_suggests_the_nearest(branched):
    with pytest.raises(ModelError, match="Did you mean 'stem'") as caught:
        cut_backbone(branched, Cut(name="c", anchor="sten"), name="trunk")
    assert caught.value.exit_code == 5


def test_scale_multiplies_the_output(branched):
    import numpy as np

    plain = cut_backbone(branched, Cut(name="c", anchor="stem"), name="trunk")
    scaled = cut_backbone(branched, Cut(name="c", anchor="stem", scale=1 / 6), name="trunk")
    x = np.ones((1, 8, 8, 3), "float32")
    np.testing.assert_allclose(np.asarray(scaled(x)), np.asarray(plain(x)) / 6, rtol=1e-6)


def test_whole_is_the_network_up_to_its_own_feature_map(branched):
    features = keras.Model(branched.input, branched.get_layer("stem").output)
    assert cut_backbone(features, WHOLE, name="trunk").output_shape == features.output_shape
    pooled = keras.Model(
        features.input, keras.layers.GlobalAveragePooling2D()(features.output), name="pooled"
    )
    with pytest.raises(ModelError, match=r"must end in a feature map .* Received: pooled"):
        cut_backbone(pooled, WHOLE, name="trunk")


def test_every_backbone_has_the_whole_cut_and_a_tail_keeps_its_own():
    assert resolve_variant("mobilenetv2", cut="whole").cut.name == "whole"
    assert resolve_variant("resnet34", cut="whole").cut.name == resolve_variant("resnet34").cut.name
