"""The photos that come with Impasto, so that training works with nothing else at hand.

The repository keeps them once, in ``examples/photos``; the wheel carries them inside the
package (``pyproject.toml``, ``force-include``). NOTICE names each photo's author and licence.
"""

from __future__ import annotations

from pathlib import Path

from impasto.errors import DataError

_MODULE_FOLDER = Path(__file__).resolve().parent


def example_photos_folder(module_folder: Path = _MODULE_FOLDER) -> Path:
    """Finds the folder of example photos: colour JPEGs, longest side at most 1024 px.

    It lies inside the installed package or, in a clone, is ``examples/photos``.

    Raises:
        DataError: this installation carries no example photos.
    """
    candidates = [module_folder / "example_photos"]
    package_parent = module_folder.parent.parent
    if package_parent.name == "src":  # a clone or an editable install of one
        candidates.append(package_parent.parent / "examples" / "photos")
    for folder in candidates:
        if any(folder.glob("*.jpg")):
            return folder
    looked_in = " and ".join(str(folder) for folder in candidates)
    raise DataError(
        f"the example photos are missing: looked in {looked_in}; "
        "name a photo folder of your own, or install impasto again"
    )
