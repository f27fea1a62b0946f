"""The second Blender that renders a capture, and what is put into it."""
