"""Nothing for Python: one side of a book, for compiled modules; see ``_side.pxd``."""
