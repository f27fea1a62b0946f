"""Trust: what the training cameras cover, and what quality to expect of a view."""
