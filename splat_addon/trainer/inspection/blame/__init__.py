"""Blame: where held-out photos disagree with the splats, and which splats and photos that comes from."""
