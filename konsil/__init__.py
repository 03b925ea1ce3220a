"""The entrance: command line, settings, logging, embedded Redis and the composition root."""
