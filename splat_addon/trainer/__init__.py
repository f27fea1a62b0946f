"""The child process that trains: PyTorch lives here and nowhere else. Start it with `python -m splat_addon.trainer`."""
