import numpy as np
import pytest
from onnx import helper

from impasto.runtime.network import LEVELS, run_on_picture, to_levels
from impasto.runtime.session import ModelSession


@pytest.fixture
def all_levels():
    """A picture of more rows than are rounded at once, with every level in every channel."""
    return np.arange(70 * 256 * 3, dtype=np.uint32).reshape(70, 256, 3).astype(np.uint8)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)], ids=["rows", "channels"])
def test_levels_come_back_whatever_the_order_in_memory(all_levels, order):
    values = np.ascontiguousarray((all_levels / LEVELS).astype(np.float32).transpose(order))
    values = values.transpose(np.argsort(order))
    before = values.copy()
    for shift in (-0.49, 0.0, 0.49):
        levels = to_levels(np.clip(values + np.float32(shift / 255), 0, 1))
        np.testing.assert_array_equal(levels, all_levels)
        assert (levels.dtype, levels.flags.c_contiguous) == (np.uint8, True)
    to_levels(values)
    np.testing.assert_array_equal(values, before)


def test_the_network_gets_levels_as_shares_and_its_result_is_clipped(
    save_model, tmp_path, all_levels
):
    class Asked(ModelSession):
        def run(self, batch, **settings):
            self.batch = batch.copy()
            return super().run(batch, **settings)

    double = helper.make_node("Add", ["image", "image"], ["output"])
    session = Asked(save_model(tmp_path / "double.onnx", nodes=[double]).read_bytes(), threads=1)
    result = run_on_picture(session, all_levels[:, ::-1])  # a view, as pictures may be
    shares = all_levels[:, ::-1] / LEVELS
    assert session.batch.dtype == np.float32
    np.testing.assert_array_equal(session.batch[0].transpose(1, 2, 0), shares)
    np.testing.assert_array_equal(result, np.minimum(2 * shares, 1))
