"""What the artist chooses: property groups kept in the .blend, paths, and the add-on's preferences."""
