"""Densification: changing the number of gaussians while they are optimised (architecture search)."""
