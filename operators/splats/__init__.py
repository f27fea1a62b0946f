"""Splats in the scene: brought in, exported, shown, rendered."""
