"""Looking at held-out views, and the report of a run."""
