"""Fees of a simulated venue; compiled functions only, see ``_fees.pxd``."""
