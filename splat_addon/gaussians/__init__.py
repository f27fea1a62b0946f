"""What a splat cloud is: parameters, colour harmonics, files. NumPy only."""
