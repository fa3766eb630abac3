"""The exchange in the box: a server on loopback that speaks the venues' wire formats."""
