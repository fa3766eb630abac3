"""The pit of one synthetic instrument: its book and messages; ``_crowd`` and ``_synth`` cimport it.

Nothing here is callable from Python: ``_synth.Generator`` is the Python door.
"""
