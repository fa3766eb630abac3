"""What a venue's frames say, key by key: compiled only, nothing to call from Python.

See ``_wire.pxd`` for the words and :class:`mmcore._scan.Scanner` for the Python face.
"""
