"""Editing that keeps gaussians whole: each operator is one undo step, and Adjust Last Operation changes it."""
