"""Splat and point files."""
