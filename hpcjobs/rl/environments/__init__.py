"""The environments that are built in, one module each, as Gymnasium defines them."""
