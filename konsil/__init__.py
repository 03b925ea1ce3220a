"""The entrance: command line, settings, logging, embedded Redis and the composition root."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("konsil")
except PackageNotFoundError:  # run from a checkout that was never installed
    __version__ = "0"
