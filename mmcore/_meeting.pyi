"""How orders of several accounts meet; compiled functions only, see ``_meeting.pxd``."""
