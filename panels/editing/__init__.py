"""Editing splats: tools, choosing and cropping."""
