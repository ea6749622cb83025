"""Ranks: communicator, census, shards, agreement, randomness."""
