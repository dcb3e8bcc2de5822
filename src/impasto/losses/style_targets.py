"""Style targets: Gram matrices of paintings in a file, in place of the paintings.

What a style loss needs of a painting is its Gram matrices. A file of them lets anyone score,
continue and repeat a training without the pictures. They are symmetric, so the upper triangle
is kept, as float16 after division by its largest entry.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from impasto.errors import DataError, UsageError
from impasto.images.writing import atomic_path
from impasto.losses.functional import gram_matrix
from impasto.losses.loss_network import LossNetwork

SUFFIX = ".targets.safetensors"
FORMAT_VERSION = 1
Grams = dict[str, Tensor]
"""``(1, C, C)`` Gram matrices by layer."""


@torch.no_grad()
def style_grams(loss_network: LossNetwork, image: Tensor, layers: Iterable[str]) -> Grams:
    """Computes the Gram matrices ``(1, C, C)`` of an image ``(1, 3, H, W)``, by layer."""
    layers = tuple(layers)
    features = loss_network(image, layers)
    return {layer: gram_matrix(features[layer]) for layer in layers}


@dataclass(frozen=True)
class StyleTarget:
    """What is kept of one painting.

    Attributes:
        sha256: hash of the painting's file, hexadecimal.
        grams: by longer side of the painting in pixels, Gram matrices by layer.
    """

    sha256: str
    grams: Mapping[int, Grams]

    def at(self, size_px: int) -> Grams:
        """Returns the Gram matrices at a size.

        Raises:
            UsageError: the file has others; they are listed.
        """
        if size_px not in self.grams:
            sizes = ",".join(map(str, self.grams))
            raise UsageError(
                f"--style-size-px is {size_px}; the style targets are there at {sizes}"
            )
        return self.grams[size_px]


def save_style_targets(targets: Mapping[str, StyleTarget], path: Path) -> None:
    """Writes the targets of several paintings, by style name, atomically.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for name, target in targets.items():
        for size, grams in target.grams.items():
            for layer, gram in grams.items():
                rows, columns = torch.triu_indices(*gram.shape[-2:])
                upper = gram[0, rows, columns].float().cpu()
                largest = upper.abs().max()
                tensors[f"{name}/{size}/{layer}"] = (upper / largest.clamp_min(1e-30)).half()
                tensors[f"{name}/{size}/{layer}/largest"] = largest.reshape(1)
    stated = {
        "format_version": FORMAT_VERSION,
        "styles": {name: target.sha256 for name, target in targets.items()},
    }
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(tensors, metadata={"style_targets": json.dumps(stated)}))


def load_style_targets(path: Path) -> dict[str, StyleTarget]:
    """Reads the targets of a file, by style name in the order they were written.

    Raises:
        DataError: the file is missing, damaged, or holds something else.
    """
    if not path.is_file():
        raise DataError(f"style targets not found: {path}")
    try:
        with safe_open(path, framework="pt") as file:
            stated = json.loads((file.metadata() or {})["style_targets"])
            if int(stated["format_version"]) > FORMAT_VERSION:
                raise DataError(f"{path} was made by a newer impasto: update impasto")
            styles = dict(stated["styles"])
            found: dict[str, dict[int, Grams]] = {name: {} for name in styles}
            for key in file.keys():  # noqa: SIM118
                if key.count("/") != 2:
                    continue
                name, size, layer = key.split("/")
                gram = _square(file.get_tensor(key), file.get_tensor(f"{key}/largest"))
                found[name].setdefault(int(size), {})[layer] = gram
    except (OSError, SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} holds no style targets, or damaged ones") from error
    return {
        name: StyleTarget(str(sha256), dict(sorted(found[name].items())))
        for name, sha256 in styles.items()
    }


def _square(upper: Tensor, largest: Tensor) -> Tensor:
    """Rebuilds a ``(1, C, C)`` matrix from its upper triangle."""
    channels = int(((8 * len(upper) + 1) ** 0.5 - 1) / 2)
    rows, columns = torch.triu_indices(channels, channels)
    if len(rows) != len(upper):
        raise ValueError(f"{len(upper)} values are no triangle")
    gram = torch.empty(1, channels, channels)
    gram[0, rows, columns] = gram[0, columns, rows] = upper.float() * largest
    return gram
