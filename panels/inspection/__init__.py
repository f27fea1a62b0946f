"""Panels about what was asked of splats and views."""
