"""Blame: which splats a pixel is made of, and what is told about them."""
