"""Data made up on demand: PokeAPI's shape at any size, with days that differ by known changes."""
