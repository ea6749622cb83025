"""The Python faces: the same runs as on the command line, held by a handle."""
