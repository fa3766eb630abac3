"""Queue position of resting orders; compiled functions only, see ``_queue.pxd``."""
