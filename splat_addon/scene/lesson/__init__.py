"""The lesson in the scene. The fit itself is in `splat_addon/lesson`, and knows no Blender.

live.py     fits of this session: training in short pieces by the timer, saving with the .blend
target.py   the pixels that are fitted
shown.py    the gaussians as a splat object
picture.py  target, render, difference and loss as one icon of the panel
arrow.py    the chosen gaussian's gradient, drawn over the 3D view
"""
