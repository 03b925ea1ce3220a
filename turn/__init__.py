"""The STUN and TURN server; it knows nothing of rooms."""
