"""Where gaussians start: points of the capture, at random, and their colors."""
