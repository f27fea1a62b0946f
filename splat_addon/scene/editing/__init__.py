"""Editing splat objects in ways that keep gaussians whole: what Blender's own tools would do to their points alone.

target.py    whether an object can be edited, and why not
values.py    from attributes to arrays and back
moving.py    Apply Transform and Mirror
joining.py   Join, Merge Captures and Separate
looks.py     Color, harmonics, Decimate
"""
