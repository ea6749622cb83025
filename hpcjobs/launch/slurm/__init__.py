"""Slurm: what is asked of it, and how its answers are read."""
