"""What is asked about splats and views: how far to trust them, and where errors come from."""
