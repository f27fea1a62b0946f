"""Editing splat objects in ways that keep gaussians whole: what Blender's own tools would do to their points alone.

target.py        whether an object can be edited, and why not
values.py        from attributes to arrays and back
moving.py        Apply Transform, Mirror and Repair
joining.py       Join and Separate
looks.py         color, harmonics, Decimate
selecting.py     by value and by neighbors
cropping.py      by the volume of an object
crop_preview.py  a crop in the viewport while its volume moves
histograms.py    how often values occur, for the panel
"""
