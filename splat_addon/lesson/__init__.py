"""The lesson: an image is fitted by 2D gaussians, with NumPy alone. It shows in small what the trainer does.

    gaussians.py  what is fitted: positions, sigmas, angles, colors, opacities
    pairs.py      which gaussian reaches which pixel, and with what weight
    rendering.py  the image and, backward, the gradients of all parameters; additive or by transmittance
    losses.py     mean squared error, or (1 - lambda) L1 + lambda D-SSIM, with their gradients by the image
    adam.py       the optimizer
    density.py    clone, split and prune, or the moves of MCMC
    fitter.py     one fit: its steps, when it densifies, what is held out, how it is saved
    terms.py      the factors of one gaussian's positional gradient
    targets.py    what is fitted: images made by code, or any pixels

Frames and units: pixels, x right, y down, the center of the first pixel at (0.5, 0.5). Values 0..1 as displayed, the
background is black. Shape letters: N gaussians, H W pixels, P pairs of a gaussian and a pixel it reaches.
"""
