"""What a splat cloud is: parameters, color harmonics, files. NumPy only."""
