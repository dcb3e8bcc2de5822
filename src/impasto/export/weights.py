"""Plain weights: a ``.safetensors`` file that states the spec it belongs to."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from impasto.errors import ModelError, UsageError
from impasto.images.writing import atomic_path
from impasto.networks import Network, spec_from_dict


def save_weights(network: Network, path: Path, *, float16: bool = False) -> str:
    """Writes a network's weights and spec atomically, in 32 bits or in 16.

    Returns:
        The file's sha256, hexadecimal.

    Raises:
        OutputError: the file cannot be written.
    """
    state: dict[str, Tensor] = {
        name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()
    }
    if float16:
        state = {n: v.half() if v.is_floating_point() else v for n, v in state.items()}
    data = save(state, metadata={"network": json.dumps(network.spec.to_dict())})
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def load_weights(path: str | Path) -> Network:
    """Rebuilds a network from its plain weights.

    Returns:
        The network in evaluation mode.

    Raises:
        ModelError: the file is missing, damaged, or holds no network of ours.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"weights not found: {path}")
    try:
        with safe_open(path, framework="pt") as file:
            spec = spec_from_dict(json.loads((file.metadata() or {})["network"]))
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        network = spec.build()
        network.load_state_dict(state)
    except (
        OSError,
        SafetensorError,
        KeyError,
        TypeError,
        ValueError,
        RuntimeError,
        UsageError,
    ) as error:
        raise ModelError(
            f"{path} holds no plain weights of an Impasto network; "
            "they lie beside each exported .onnx"
        ) from error
    return network.eval()
