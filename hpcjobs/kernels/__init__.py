"""Hot loops: a readable NumPy reference for each, and faster twins chosen by the array's own type."""
