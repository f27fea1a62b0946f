"""What was photographed or rendered: cameras, photos, sparse points. NumPy only."""
