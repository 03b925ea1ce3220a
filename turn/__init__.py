"""The STUN and TURN server; it knows nothing of rooms.

`turn.relay.Relay` is the running server, `turn.config.RelayConfig` its settings and
`turn.credentials.issue` makes what a client signs in with. `turn.server.TurnServer` is the
protocol itself, without sockets, clock or random source of its own.
"""
