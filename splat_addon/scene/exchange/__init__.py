"""Splat objects on their way to other programs: which axes and whose space a file gets, and writing it."""
