"""One HTML page, with nothing else beside it, of what was measured."""
