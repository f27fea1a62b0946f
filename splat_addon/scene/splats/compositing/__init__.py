"""Trainer Look beside other things: a view layer for the splats alone, laid over the others in display colors."""
