"""Impasto: train image transformation networks with perceptual losses and run them fast."""

from __future__ import annotations

from impasto._version import __version__

__all__ = ["__version__"]
