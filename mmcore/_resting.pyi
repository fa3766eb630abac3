"""What rests at a simulated venue; compiled functions only, see ``_resting.pxd``."""
