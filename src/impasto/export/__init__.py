"""From trained weights to the one file that runs everywhere."""

from impasto.export.onnx_file import export_network
from impasto.export.weights import load_weights, save_weights

__all__ = ["export_network", "load_weights", "save_weights"]
