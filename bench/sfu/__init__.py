"""The forwarder under load, side by side with Janus' video room."""
