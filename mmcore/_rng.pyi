"""Seeded random numbers for the synthetic market; compiled modules cimport them.

Nothing here is callable from Python: ``_synth.Generator`` is the Python door to what they make.
"""
