"""Nothing for Python: messages and signals of a book, for compiled modules; see ``_depth.pxd``."""
