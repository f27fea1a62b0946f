"""How far a view may be trusted: it is told in viewports.

measured.py  what the training cameras of an object's splats cover, and the quality to expect of a view
views.py     what viewports see, as cameras of the capture
badge.py     a line in the viewport while it is turned
volume.py    places around the photos, colored by what a camera there would see
strip.py     the scene camera's animation, frame by frame
bars.py      the strip as it is drawn
drawing.py   the draw handlers of these
"""
