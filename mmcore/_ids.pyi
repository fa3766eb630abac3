"""The orders of a market by their ids; compiled functions only, see ``_ids.pxd``."""
