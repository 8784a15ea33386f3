"""Models for images of another size that share every layer."""

import numpy as np
import pytest

import skinzoo
from skinzoo.errors import UsageError
from skinzoo.model import at_size
from skinzoo.testing import example_cases


@pytest.mark.parametrize("name", ["cnn", "mobilenetv2", "mobilenetv3small"])
def test_another_size_has_the_same_variables_and_the_answers_of_a_model_built_for_it(name):
    shape = {"cut": "whole", "pooling": "gap", "fusion": "mlp"}
    model = skinzoo.create_model(name, image_size=96, **shape)
    small = at_size(model, 64)
    assert len(small.variables) == len(model.variables)
    assert all(one is other for one, other in zip(small.variables, model.variables, strict=True))

    built = skinzoo.create_model(name, image_size=64, **shape)
    built.set_weights(model.get_weights())
    cases = example_cases(built)
    np.testing.assert_allclose(small(cases), built(cases), atol=1e-6)


def test_weights_that_depend_on_the_size_are_refused():
    model = skinzoo.create_model("cnn", pooling="flatten", image_size=64)
    with pytest.raises(UsageError, match="Images of 32 pixels") as error:
        at_size(model, 32)
    assert "--pooling gap" in error.value.hint
