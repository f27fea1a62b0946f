"""The inspection of splats: evidence from photos through the trainer's kernels, written beside the splats."""
