import pytest


@pytest.fixture
def pictures():
    """Three pictures by name, each of its own main colour and with gradients."""
    import numpy as np

    rows, columns = np.mgrid[0:60, 0:80]
    result = {}
    for i, name in enumerate(["a.jpg", "b.png", "below/c.webp"]):
        rgb = np.zeros((60, 80, 3), np.uint8)
        rgb[..., i] = 100 + columns
        rgb[..., (i + 1) % 3] = rows
        result[name] = rgb
    return result


@pytest.fixture
def folder(pictures, tmp_path):
    """The three pictures as files, one in a folder below, beside files that are no photos."""
    from PIL import Image

    root = tmp_path / "photos"
    for name, rgb in pictures.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rgb).save(root / name)
    (root / "notes.txt").write_text("no photo")
    (root / ".hidden.jpg").write_text("no photo either")
    return root
