"""Blame: which splats a pixel of a held-out view comes from, and which training views show them.

picked.py    what was clicked, as shares of splats; lit and selected
photos.py    where a splat appears in the training views
"""
