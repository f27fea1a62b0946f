"""The CUDA backend: gsplat, and what it needs on this machine."""
