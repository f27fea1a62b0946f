"""What is at work for this Blender: training, rendering, set-up, reports, and what is known before a run."""
