"""The adapter to Blender: the only code below `splat_addon` that imports bpy."""
