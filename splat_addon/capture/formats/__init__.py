"""Files that list a capture's cameras, photos and points."""
