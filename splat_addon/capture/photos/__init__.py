"""How a photo's file becomes the pixels that its camera measured: one answer for training, seeds, export and Blender.

Only decoding is done elsewhere, by Pillow in the trainer and by Blender in the scene. What comes out of either goes
through `reading`: `records` (what a file's head says), `orientation`, `values`, `profiles`, `masks`, `sizes`, and
`undistort` for the lens. `depths` reads what Blender has written beside them. `alike` says whether two renders show one
scene.
"""
