"""Clock, orders and accounts of a strategy; compiled functions only, see ``_playback.pxd``."""
