"""A run in the scene: its object, its previews, and finding runs again."""
