"""HDF5 in and out: the commit record, verified reads, publish, the schema."""
