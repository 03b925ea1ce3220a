"""Media bots: pairs that join, negotiate sealed, and send each other VP8 and Opus."""
