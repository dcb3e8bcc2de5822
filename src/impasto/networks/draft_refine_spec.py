"""The description from which a draft and refine network is rebuilt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from impasto.networks.spec import StyleSpec, check_whole

if TYPE_CHECKING:
    from impasto.networks.draft_refine import DraftRefineNetwork


@dataclass(frozen=True, kw_only=True)
class DraftRefineSpec(StyleSpec):
    """Settings of a network that paints a small draft and refines it octave by octave.

    Attributes:
        half_width: channels of the draft network at half the height and width of the draft.
        quarter_width: channels at a quarter.
        width: channels of the trunk, at an eighth.
        blocks: residual blocks of the trunk.
        quarter_blocks: residual blocks at a quarter, after the trunk.
        refine_width: channels of the refine network, at half the height and width.
        refine_blocks: residual blocks of the refine network.
        parameter_sets: sets of scales and shifts: the styles, and the identity.
    """

    architecture: ClassVar[str] = "draft_refine"
    holds_many: ClassVar[bool] = True

    half_width: int = 32
    quarter_width: int = 64
    width: int = 128
    blocks: int = 3
    quarter_blocks: int = 2
    refine_width: int = 24
    refine_blocks: int = 1
    parameter_sets: int = 1

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            UsageError: a field is out of its range; the message names it.
        """
        widths = ("half_width", "quarter_width", "width", "refine_width")
        blocks = ("blocks", "quarter_blocks", "refine_blocks")
        check_whole(self, (*widths, *blocks, "parameter_sets"))

    @property
    def min_size_px(self) -> int:
        """Smallest height and width of a draft: mirrored borders must be smaller than the map."""
        return 16

    @property
    def halo_px(self) -> int:
        """Border that the refine network takes off its input on every side."""
        return 4 + 4 * self.refine_blocks

    def build(self) -> DraftRefineNetwork:
        """Builds a `DraftRefineNetwork`, with fresh weights from torch's generator."""
        from impasto.networks.draft_refine import DraftRefineNetwork

        return DraftRefineNetwork(self)
