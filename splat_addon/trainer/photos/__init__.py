"""Photos as training sees them: one, and all of a run."""
