"""The rules by which resting orders fill; compiled functions only, see ``_matching.pxd``."""
