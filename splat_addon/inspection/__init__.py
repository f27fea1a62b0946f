"""From evidence per splat to a score, reasons in words, and regions, without Blender or PyTorch."""
