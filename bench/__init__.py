"""Side-by-side measurements: Konsil and its peers, same machine, same load client, in turn."""
