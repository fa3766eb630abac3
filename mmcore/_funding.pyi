"""When a market's funding falls due; compiled functions only, see ``_funding.pxd``."""
