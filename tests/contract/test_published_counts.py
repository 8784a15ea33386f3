"""Parameter counts and feature maps that the papers' notebooks print.

Not expressible with registered parts, and so not here: MobileNetV3Large with the extra Dense 512
(ExtendedDense_1), DenseNet201 with global pooling and a three-layer metadata network (run M17), the
MobileNetV3Small run whose pooling cell ran twice, and MobileNetV3Large cut at its 1000 logits.
"""

import pytest

from skinzoo.model import count_parameters, create_model, feature_map
from skinzoo.specs import ParameterCounts
from skinzoo.testing import fresh_session

AD = {"fusion": "image_only"}
BARE = {"fusion": "image_only", "attention": "none"}
GAP = {"pooling": "gap"}
V3_28 = {"cut": "expanded_conv_14_depthwise_bn"}
V3_44 = {"cut": "expanded_conv_13_squeeze_excite_conv_1"}
slow = pytest.mark.slow

ROWS = [
    pytest.param("inceptionresnetv2", {}, 47_599_671, 54_403, (8, 8, 192)),
    pytest.param("inceptionresnetv2", AD, 47_480_887, 54_400, (8, 8, 192), marks=slow),
    pytest.param("inceptionresnetv2", BARE, 47_496_231, 54_400, (8, 8, 192), marks=slow),
    pytest.param("densenet201", {}, 17_382_935, 213_315, (7, 7, 128)),
    pytest.param("densenet201", AD, 17_264_151, 213_312, (7, 7, 128), marks=slow),
    pytest.param("densenet201", BARE, 17_260_935, 213_312, (7, 7, 128), marks=slow),
    pytest.param("densenet201", {"fusion": "concat4096_bn"}, 17_382_977, 213_357, (7, 7, 128), marks=slow),
    pytest.param("densenet201", {"fusion": "concat4096_2bn"}, 17_391_169, 221_549, (7, 7, 128), marks=slow),
    pytest.param(
        "densenet201", {"fusion": "concat4096_dropout"}, 17_382_935, 213_315, (7, 7, 128), marks=slow
    ),
    pytest.param("resnet50", {}, 24_407_063, 53_123, (7, 7, 2048)),
    pytest.param("resnet50", AD | GAP, 23_858_199, 53_120, (7, 7, 2048), marks=slow),
    pytest.param("resnet50", BARE | GAP, 23_548_935, 53_120, (7, 7, 2048), marks=slow),
    pytest.param("resnet152", {}, 50_160_663, 139_139, (7, 7, 2048), marks=slow),
    pytest.param("mobilenet", {}, 1_624_919, 11_651, (14, 14, 512)),
    pytest.param("mobilenetv2", {}, 1_334_039, 20_675, (7, 7, 960)),
    pytest.param("mobilenetv2", AD, 1_215_255, 20_672, (7, 7, 960)),
    pytest.param("mobilenetv3small", {}, 979_239, 10_771, (7, 7, 576)),
    pytest.param("mobilenetv3large", {}, 2_646_679, 20_243, (7, 7, 960)),
    pytest.param("mobilenetv3large", V3_28, 2_672_599, 22_163, (7, 7, 960)),
    pytest.param("mobilenetv3large", V3_44, 2_135_639, 18_003, (1, 1, 960)),
    pytest.param("nasnetmobile", {}, 3_922_873, 33_221, (7, 7, 176)),
    pytest.param("nasnetlarge", {}, 78_389_773, 183_231, (11, 11, 672), marks=slow),
    pytest.param("xception", {}, 21_937_471, 54_531, (10, 10, 2048)),
    pytest.param("resnet34", AD, 31_391_767, 22_400, (28, 28, 128)),
    pytest.param("resnet34", BARE, 30_783_495, 22_400, (28, 28, 128), marks=slow),
    pytest.param("vgg16", AD, 62_642_263, 8_448, (28, 28, 512)),
    pytest.param("vgg16", BARE, 60_209_223, 8_448, (28, 28, 512), marks=slow),
]


@pytest.mark.parametrize(("name", "choices", "trainable", "non_trainable", "shape"), ROWS)
def test_counts_and_feature_map_are_the_printed_ones(name, choices, trainable, non_trainable, shape):
    choices = {"attention": "soft_as_coded"} | choices
    with fresh_session():
        model = create_model(name, **choices)
        assert count_parameters(model) == ParameterCounts(trainable=trainable, non_trainable=non_trainable)
        assert tuple(feature_map(model).shape[1:]) == shape


def test_gamma_is_the_only_weight_that_soft_adds():
    with fresh_session():
        coded = count_parameters(create_model("mobilenetv2", attention="soft_as_coded"))
        described = count_parameters(create_model("mobilenetv2", attention="soft"))
    assert described.trainable == coded.trainable + 1
    assert described.non_trainable == coded.non_trainable
