"""Held-out review: looking through held-out views, what lies over them, and a run's curves."""
