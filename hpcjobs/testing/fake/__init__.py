"""A pretend Slurm: one small program that answers as sbatch, squeue, sacct, scancel, scontrol, sinfo and srun do.

Standard library only, and little of that: each call is a process of its own and must be over in a blink.
"""
