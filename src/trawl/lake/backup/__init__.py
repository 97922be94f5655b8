"""Copies of a whole lake elsewhere, each of one moment, and the way back."""
