"""Painting and upscaling clips and animated pictures, steadily; no torch."""
