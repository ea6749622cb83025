"""Reinforcement learning: environments as tables, learners, exact planning; functions of arrays."""
