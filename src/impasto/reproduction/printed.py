"""What the paper prints, to stand beside this machine's figures.

Johnson, Alahi, Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution",
ECCV 2016.
"""

from __future__ import annotations

from typing import Final

SPEED: Final = {
    256: {100: 3.17, 300: 9.52, 500: 15.86, "network": 0.015, "speed-up": 1060},
    512: {100: 10.97, 300: 32.91, 500: 54.85, "network": 0.05, "speed-up": 1026},
    1024: {100: 42.89, 300: 128.66, 500: 214.44, "network": 0.21, "speed-up": 1042},
}
"""Table 1, seconds on a Titan X: the baseline by iterations, the network, and their ratio at 500
iterations, by longer side in pixels."""

ITERATIONS: Final = "50 to 100"
"""Figure 5: L-BFGS iterations that reach the network's objective, at all three sizes."""

SUPERRES: Final = {
    4: {
        "Set5": {
            "bicubic": (28.43, 0.8114),
            "l_pixel": (28.40, 0.8205),
            "SRCNN": (30.48, 0.8628),
            "l_feat": (27.09, 0.7680),
        },
        "Set14": {
            "bicubic": (25.99, 0.7301),
            "l_pixel": (25.75, 0.6994),
            "SRCNN": (27.49, 0.7503),
            "l_feat": (24.99, 0.6731),
        },
        "BSD100": {
            "bicubic": (25.96, 0.682),
            "l_pixel": (25.91, 0.6680),
            "SRCNN": (26.90, 0.7101),
            "l_feat": (24.95, 0.6317),
        },
    },
    8: {
        "Set5": {
            "bicubic": (23.80, 0.6455),
            "l_pixel": (24.77, 0.6864),
            "l_feat": (23.26, 0.7058),
        },
        "Set14": {
            "bicubic": (22.37, 0.5518),
            "l_pixel": (23.02, 0.5787),
            "l_feat": (21.64, 0.5837),
        },
        "BSD100": {
            "bicubic": (22.11, 0.5322),
            "l_pixel": (22.54, 0.5526),
            "l_feat": (21.35, 0.5474),
        },
    },
}
"""PSNR in dB and SSIM of the super-resolution tables, by scale, test set and method."""

DATA_SETS: Final = (
    "The paper trains on MS COCO 2014 (cocodataset.org), compares objectives on 50 images of its "
    "validation split, and tests super-resolution on Set5, Set14 and BSD100, which are the usual "
    "test sets of the field and part of many public collections."
)
