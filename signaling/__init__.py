"""The WebSocket protocol, routing between participants, resume, the HTTP API and its middleware."""
