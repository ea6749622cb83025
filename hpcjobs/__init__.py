"""Distributed jobs for Slurm and MPI clusters."""

__version__ = "0.1.0"
