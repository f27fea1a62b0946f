"""Edits that keep gaussians whole, on the arrays that Blender keeps: what is moved, recolored, chosen, and what for."""
