"""A photo capture in the scene: cameras with their photos, and sparse points."""
