"""Where gaussians start: points on surfaces, point clouds, and showing what training starts from."""
