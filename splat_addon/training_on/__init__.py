"""A run that goes on from splats that were edited, and what removing some would change. No PyTorch, no Blender."""
