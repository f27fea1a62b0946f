"""Held-out quality: views that training never sees, rendered, measured and set side by side."""
