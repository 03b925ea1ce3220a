"""Load scenarios and media bots."""
