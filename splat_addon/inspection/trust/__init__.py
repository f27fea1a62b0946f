"""Trust: what the training cameras cover, what quality to expect of a view, and where to look from outside of it."""
