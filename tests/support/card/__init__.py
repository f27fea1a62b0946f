"""An NVIDIA card for tests on machines that have none.

    gsplat_kernels.py   a stand-in for gsplat's compiled module, in PyTorch on the CPU
    pretended.py        tensors that say they are on another device, with the numbers on the CPU
    runs.py             whole trainings on them

gsplat's own Python runs unchanged above the stand-in. What they cannot show: the arithmetic of a card, its speed and
memory, compilers and drivers.
"""
