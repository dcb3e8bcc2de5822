"""Where training measures the references of its loss weights."""

from __future__ import annotations

from impasto.losses.balancing import References, balanced_weights, measure_references

__all__ = ["PHOTOS", "References", "balanced_weights", "measure_references"]

PHOTOS = 64
"""How many crops the references are measured on."""
