"""A run that goes on from splats that were edited, inspected or imported, without PyTorch or Blender."""
