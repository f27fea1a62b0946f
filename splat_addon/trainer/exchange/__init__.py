"""Splat files of other programs, read and written without Blender."""
