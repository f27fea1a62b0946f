"""Training and inspecting 3D gaussian splats: the code behind the Blender extension.

The map (who may import whom is tested in `tests/unit/test_import_rules.py`):

    errors                  everything a user may be told                                stdlib
    files                   replacing and removing files that others may hold open       stdlib
    gaussians/              what a splat cloud is: parameters, harmonics, drawing rules  numpy
        formats/            splat files behind one reader and one writer (`registry`): PLY, SPZ, glTF, SOG, USD, …
    capture/                what was photographed or rendered: cameras, points, export   numpy
        formats/            colmap/ and transforms.json, behind one listing
        finding/            one finder of files: photos and masks under the names they have here
        photos/             how a file becomes the pixels that a camera measured
        seeds/              from points to the first gaussians
        check/              whether cameras, points and photos belong together; what these settle
    editing/                edits that keep gaussians whole: moving, recoloring, choosing, cropping     numpy
    inspection/             from evidence per splat to a score, reasons and regions      numpy
        trust/              what training cameras cover, what quality to expect of a view, where to look from outside
        blame/              which splats a pixel is made of
    lesson/                 an image fitted by 2D gaussians: training in small           numpy
    training_on/            a run that goes on from finished splats: its folder          numpy
    run/                    the contract between Blender and its child processes         stdlib
        children/           the parent's end: one class for a child process, its kinds
    environment/            the trainer's Python: what it needs, how it is made          stdlib
    trainer/                the child process: PyTorch lives here and nowhere else       torch
        densify/            where gaussians are added and removed
        photos/             photos as training reads them
        report/             a run as one HTML page
        inspection/         evidence about every splat, from photos, and its file
        backend/            what depends on the processor: cpu/, cuda/, reference/
    scene/                  the adapter to Blender, the only bpy below this package      bpy
        its rooms are listed in `scene/__init__.py`

Frames. *World*: the capture's own axes (for captures of a scene: Blender's world). *Camera*: OpenCV axes, +x right,
+y down, +z forward. Transforms read as equations: `point_camera = camera_from_world @ point_world`. *Image*: pixels,
x right, y down, the center of the first pixel at (0.5, 0.5).

Units. Lengths are capture units (meters in a Blender scene); suffixes say the rest: `_px`, `_s`, `_deg`, `_db`.

Shape letters. N gaussians, K harmonics per color channel, C cameras, H W pixels, P points.

Stored and meaningful. `log_scales`, `logit_opacities`, `sh` and unnormalized `quaternions` (w, x, y, z) are stored;
scales, opacities and colors are what they mean after activation.
"""
