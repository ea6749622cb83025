"""One run: its folder, lease, checkpoints, history, stop and provenance."""
