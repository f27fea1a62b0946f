"""Whether cameras, points and photos belong together, measured."""
