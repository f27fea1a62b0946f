"""Drawing splats in viewports."""
