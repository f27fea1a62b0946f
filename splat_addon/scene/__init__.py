"""The adapter to Blender: the only code below `splat_addon` that imports bpy. Its rooms, each above those it imports:

    blame/      which splats a pixel of a held-out view comes from, and which photos show them
    trust/      how far views are outside of the training photos: badge, volume, strip
    tasks/      what is at work for this Blender: training, previews, rendering, set-up, reports, forecasts, checks
    lesson/     the lesson: fitting an image, seen in the 3D view and the panel
    review/     held-out views: the list, looking through them, what lies over them, a run's curves
    editing/    edits that keep gaussians whole: moving, joining, colors, choosing, cropping
    inspection/  floaters: scores with the splats, choosing, stepping through regions
    runs/       a run in the scene: the object of its result, finding runs again
    exchange/   splat objects on their way to other programs: axes, spaces, writing files
    rendering/  the second Blender that renders a capture, and what is put into it
    seeds/      where gaussians start: surfaces, materials, point clouds, choosing and showing them
    photos/     a photo capture in the scene: cameras with their photos, sparse points
    viewport/   drawing splats in viewports
    splats/     splat objects: their data, the nodes and the material that draw them, what renders need
    cameras/    Blender's cameras and the capture's: conversion, rigs, shots, looking through one
    settings/   what the artist chooses: property groups, paths, preferences; knows no feature
    own_data.py  data-blocks of the add-on's own: local, complete and of this version, or made anew
    node_references.py  which objects geometry nodes bring into the scene
    volumes.py  the inside of an object that stands for a volume
    session/    the one session, the one timer, the one redraw, what forgets when data change, icons

What the artist chose is in `settings/` and saved in the .blend. What runs is in the session, and never saved. What was
made is in the folder of a capture or a run.
"""
