"""One module per venue: raw frames to events, requests to the wire.

This folder stands at the top of the repository and is installed and imported as
``mmcore.adapters``; a bare ``import adapters`` would load everything a second time.
"""

if __name__ != "mmcore.adapters":
    raise ImportError("import mmcore.adapters, not adapters: the folder is installed under mmcore")
