"""Clustering as plain functions of arrays: no files, flags, clocks or printing."""
