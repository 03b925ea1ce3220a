"""The forwarder of group media; it knows nothing of rooms beyond an opaque id."""
