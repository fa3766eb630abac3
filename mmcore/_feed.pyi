"""The wire of the synthetic market: receive times and the merge; compiled modules cimport it.

Nothing here is callable from Python: ``_synth.Generator`` is the Python door to what it carries.
"""
