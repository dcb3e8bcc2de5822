"""The painters behind ``examples/paint.py``, one module a picture."""
