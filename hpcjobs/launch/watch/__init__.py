"""Watching runs: what became of them, why, and how to stop them. Everything here stands on `truth.look`."""
