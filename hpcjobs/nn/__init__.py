"""The mathematics of neural networks: plain functions of arrays."""
