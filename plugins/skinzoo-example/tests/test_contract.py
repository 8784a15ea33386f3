"""Every part of the plugin keeps skinzoo's contract."""

import keras
import numpy as np
import pytest
from skinzoo_example.layers import ChannelScale

from skinzoo.testing import check_plugin


def test_every_part_keeps_the_contract():
    """The checks that skinzoo's own parts pass."""
    check_plugin("skinzoo-example")


def test_channel_scale_multiplies():
    """Features of 1 become the scale."""
    layer = ChannelScale(initial_value=2.0)
    scaled = keras.ops.convert_to_numpy(layer(np.ones((1, 2, 2, 3), "float32")))
    np.testing.assert_array_equal(scaled, np.full((1, 2, 2, 3), 2.0))


def test_channel_scale_refuses_a_factor_that_is_not_positive():
    """A channel that starts at 0 would never learn."""
    with pytest.raises(ValueError, match="must be positive"):
        ChannelScale(initial_value=0.0)
