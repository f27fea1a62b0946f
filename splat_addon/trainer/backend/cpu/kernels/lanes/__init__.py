"""Eight or sixteen numbers at once: vector types, what can be computed in them, blocks of pixels."""
