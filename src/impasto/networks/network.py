"""What every network has, whatever its spec."""

from __future__ import annotations

from torch import nn

from impasto.networks.spec import Spec


class Network(nn.Module):
    """A network that is rebuilt from its spec.

    ``forward`` takes ``(N, 3, H, W)`` RGB in [0, 1], and the weights of the parameter sets where
    ``spec.holds_many``. Its last convolution must see even sides, what is too much being cut off
    after it: export computes four pixels of it at once.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec

    def parts(self) -> tuple[nn.Module, nn.Module | None]:
        """Returns what sees a picture as a whole, and the refine network if ``spec.halo_px``."""
        return self, None
