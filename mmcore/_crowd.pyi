"""The crowd of one synthetic instrument: takers and quoters; ``_synth`` cimports it.

Nothing here is callable from Python: ``_synth.Generator`` is the Python door.
"""
