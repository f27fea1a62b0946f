"""`python -m splat_addon.trainer.backend.cuda [--build]`: what an NVIDIA card needs here; builds the kernels ahead."""

import sys

from . import doctor
from .rasterizer import CudaRasterizer


def main(arguments: list[str]) -> int:
    """Print the findings; with `--build`, build the kernels. 1 when they should be built and cannot."""
    for finding in doctor.examine():
        print(f"{'ok     ' if finding.is_fine else 'MISSING'} {finding.name}: {finding.found}")
        if not finding.is_fine:
            print(f"        {finding.remedy}")
    if not doctor.is_cuda_ready():
        print("Training uses the CPU.")
        return 1 if "--build" in arguments else 0
    print("Training uses the CPU, and this card where Device is CUDA.")
    if "--build" in arguments:
        CudaRasterizer().prepare(print)
        print("The CUDA kernels are built.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
