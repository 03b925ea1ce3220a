"""Tokens and links, the session and its states, admission, and the Redis store."""
