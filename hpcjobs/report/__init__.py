"""The page that explains a run, a sweep or a data set to people: figures, tables, provenance."""
