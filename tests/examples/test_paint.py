import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NAMES = ["flow_strokes", "mosaic", "ink_lines"]
HEIGHT = 96


@pytest.fixture(scope="module")
def paint():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        spec = importlib.util.spec_from_file_location("paint", EXAMPLES / "paint.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module


@pytest.fixture(scope="module")
def small(paint):
    """The three pictures of the shipped seed, small."""
    return {name: paint.PAINTINGS[name](HEIGHT, 1) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_paints_one_picture_and_another_seed_another(paint, small, name):
    again, other = (np.asarray(paint.PAINTINGS[name](HEIGHT, seed)) for seed in (1, 2))
    assert again.shape == (HEIGHT, HEIGHT * 4 // 3, 3)
    assert np.array_equal(np.asarray(small[name]), again)
    assert np.mean(again != other) > 0.2


@pytest.mark.parametrize("name", NAMES)
def test_shipped_picture_has_texture_on_the_whole_canvas(name):
    path = EXAMPLES / "paintings" / f"{name}.jpg"
    assert path.stat().st_size <= 500_000
    with Image.open(path) as image:
        assert image.mode == "RGB"
        assert image.size == (1024, 768)
        grey = np.asarray(image.convert("L"), dtype=float)
    cells = grey.reshape(12, 64, 16, 64).std(axis=(1, 3))
    assert cells.min() > 4, "a blank area teaches a network nothing"
    assert abs(grey - grey.mean()).mean() > 20


@pytest.mark.parametrize("name", NAMES)
def test_shipped_picture_is_what_the_script_paints(small, name):
    with Image.open(EXAMPLES / "paintings" / f"{name}.jpg") as image:
        shipped = np.asarray(image.resize((8, 6), Image.Resampling.BOX), dtype=float)
    # A smaller canvas draws other noise, so only the composition is compared.
    painted = np.asarray(small[name].resize((8, 6), Image.Resampling.BOX), dtype=float)
    assert np.corrcoef(shipped.ravel(), painted.ravel())[0, 1] > 0.55


def test_the_command_writes_the_named_picture_only(paint, tmp_path, capsys):
    paint.main(["ink_lines", "--height", str(HEIGHT), "-o", str(tmp_path / "new")])
    written = tmp_path / "new" / "ink_lines.jpg"
    assert list((tmp_path / "new").iterdir()) == [written]
    assert capsys.readouterr().out.strip() == str(written)


@pytest.mark.parametrize("arguments", [["udnie"], ["--height", "10"], ["--seed", "-1"]])
def test_bad_arguments_are_refused_before_painting(paint, arguments, tmp_path):
    with pytest.raises(SystemExit) as stopped:
        paint.main([*arguments, "-o", str(tmp_path / "new")])
    assert stopped.value.code == 2
    assert not (tmp_path / "new").exists()
