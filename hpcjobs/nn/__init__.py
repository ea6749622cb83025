"""Neural networks of images (rows, height, width, channels): plain functions of arrays."""
