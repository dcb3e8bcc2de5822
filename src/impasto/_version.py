"""The version of Impasto."""

__version__ = "0.1.0"
