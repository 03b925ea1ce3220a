"""What load testers start: users for locust with their scenarios, and media bots.

Stands outside, as a browser does: of Konsil it knows the protocol's messages and how links are
made.
"""
