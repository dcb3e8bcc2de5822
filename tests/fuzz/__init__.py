"""Generators of hostile input and what must hold for it, shared by tests and a benchmark.

Four targets: ``pictures``, ``models``, ``archives`` and ``commands``. Every case follows from
a seed, the target and a number, so `python benchmarks/fuzz.py --target T --seed S --case N`
makes it again.
"""
