"""Rewriting what is stored: folding, vacuum, new hashes, new keys, erasure."""
