"""Own orders in a line of orders with ids; compiled functions only, see ``_line.pxd``."""
