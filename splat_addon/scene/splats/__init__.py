"""Splat objects: data, the nodes and the material that draw them, and what renders need."""
