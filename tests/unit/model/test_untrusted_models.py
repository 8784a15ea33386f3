"""A `.keras` file from a stranger cannot run code."""

import keras
import pytest
from keras.src.backend.common import global_state

from skinzoo.errors import ModelError
from skinzoo.model import load_model


def test_a_lambda_layer_is_refused_before_it_runs(tmp_path):
    marker = tmp_path / "ran"

    def hostile(x):
        import pathlib

        pathlib.Path(str(marker)).touch()
        return x

    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Lambda(hostile, output_shape=(2,))(inputs))
    model.save(tmp_path / "hostile.keras")
    marker.unlink(missing_ok=True)
    # Someone who has switched safety off for files of their own has not done so for these.
    keras.config.enable_unsafe_deserialization()
    try:
        with pytest.raises(ModelError, match="could not be loaded"):
            load_model(tmp_path / "hostile.keras")
    finally:
        # Keras can only be told to switch it off.
        global_state.set_global_attribute("safe_mode_saving", None)
    assert not marker.exists()
