"""Where an optimisation runs."""

from __future__ import annotations

import torch

from impasto.errors import UsageError


def find_device(name: str, threads: int | None = None) -> str:
    """Sets the number of CPU threads and finds a device.

    Args:
        name: ``"auto"`` for the fastest there is, or PyTorch's name of one.
        threads: CPU threads; None leaves them as they are.

    Returns:
        PyTorch's name.

    Raises:
        UsageError: there is no such device here.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return "cpu" if accelerator is None else accelerator.type
    try:
        torch.empty(0, device=name)
    except (AssertionError, RuntimeError) as error:
        raise UsageError(f"--device is {name}; PyTorch finds none here: use cpu") from error
    return name
