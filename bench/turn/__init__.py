"""Side by side with Debian's coturn: the same load, the same machine, the same run."""
