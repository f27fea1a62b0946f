"""The layers that import Blender can be imported without what they must not use, in the Python of a Blender."""

import pytest

from support.layers import LAYERS_OF_BLENDER, try_behind_a_fence


@pytest.mark.parametrize("layer", LAYERS_OF_BLENDER)
def test_a_layer_can_be_imported_without_what_it_must_not_use(layer):
    try_behind_a_fence(layer)
