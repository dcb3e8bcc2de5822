"""Painting and enlarging whole collections of pictures, on many cores and machines, with Ray Data.

Workers read and write pictures themselves, and only paths and numbers travel between machines.
``impasto batch`` is the way in.
"""
