"""What the artist sets for what is done with splats: editing, inspection, trust, training further."""
