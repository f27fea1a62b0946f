"""`python -m splat_addon.trainer.backend.cuda --compile FOLDER`: compile gsplat's CUDA kernels into FOLDER.

The sources are gsplat's own, copied without what training never calls: of its twenty files of kernels five are
compiled, with two instead of nineteen numbers of channels, which takes minutes instead of most of an hour of processor
time. `kernels.build` sets what PyTorch's builder looks for in the environment, and keeps what is printed.
"""

import importlib.util
import re
import shutil
import sys
from collections.abc import Collection
from pathlib import Path

from . import kernels, toolkit

_KERNELS = ("IntersectTile", "ProjectionEWA3DGSFused", "RasterizeToPixels3DGSBwd", "RasterizeToPixels3DGSFwd",
            "SphericalHarmonicsCUDA")  # fmt: skip
_CALLERS = ("Intersect", "Projection", "Rasterization", "SphericalHarmonics")  # what checks and calls kernels
_MODULE = """#include <torch/extension.h>

#include "Common.h"
#include "Ops.h"

PYBIND11_MODULE(TORCH_EXTENSION_NAME, module) {
    py::enum_<gsplat::CameraModelType>(module, "CameraModelType").value("PINHOLE", gsplat::CameraModelType::PINHOLE);
%s
}
"""
_PARAMETERS = r"\(((?://[^\n]*\n|[^;{}/])*)\)"
_LAUNCHER = re.compile(
    rf"\bvoid (launch_\w+){_PARAMETERS} *;"
)  # a function that starts a kernel, as headers declare it
_LAUNCHED = re.compile(rf"\bvoid (launch_\w+){_PARAMETERS} *\{{")  # … as files of kernels define it
_INSTANCE = re.compile(r"^ *__(?:INS|LAUNCH_KERNEL)__\((\d+)\)", re.MULTILINE)


def compile_into(place: Path) -> None:
    """Compile, link and load once."""
    from torch.utils.cpp_extension import load

    sources = copied_sources(_gsplat_folder(), place / "sources")
    own = toolkit.own_cuda_folder()
    is_windows = sys.platform == "win32"
    load(
        name=kernels.EXTENSION_NAME,
        sources=[str(path) for path in sources],
        extra_cflags=["/O2"] if is_windows else ["-O3", "-Wno-attributes"],
        extra_cuda_cflags=["-O3", "-use_fast_math"],
        extra_ldflags=_linked_runtime(own, place),
        extra_include_paths=[
            str(place / "sources" / "include"),
            str(place / "sources" / "csrc" / "third_party" / "glm"),
            *([str(own / "include")] if own else []),
        ],
        build_directory=str(place),
        verbose=True,
    )


def _gsplat_folder() -> Path:
    spec = importlib.util.find_spec("gsplat")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "cuda"


def copied_sources(gsplat: Path, target: Path) -> list[Path]:
    """gsplat's sources in `target`, as far as training calls them; those that are to be compiled."""
    compiled = [gsplat / "csrc" / name for name in (*map("{}.cu".format, _KERNELS), *map("{}.cpp".format, _CALLERS))]
    sources = {path: path.read_text(encoding="utf-8") for path in compiled}
    there = {found[1] for source in sources.values() for found in _LAUNCHED.finditer(source)}
    for name in ("csrc", "include"):
        for path in sorted((gsplat / name).iterdir()):
            if path.suffix in (".h", ".cuh"):
                _write(target / name / path.name, without_launchers(path.read_text(encoding="utf-8"), there))
    shutil.copytree(gsplat / "csrc" / "third_party", target / "csrc" / "third_party", dirs_exist_ok=True)
    for path, source in sources.items():
        _write(target / "csrc" / path.name, fewer_channels(source))
    named = "\n".join(f'    module.def("{name}", &gsplat::{name});' for name in kernels.FUNCTIONS)
    _write(target / "module.cpp", _MODULE % named)
    return [*(target / "csrc" / path.name for path in compiled), target / "module.cpp"]


def _write(target: Path, content: str) -> None:
    """Leave a file that is the same alone, so that an interrupted build goes on where it was."""
    if not target.is_file() or target.read_text(encoding="utf-8") != content:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")


def without_launchers(header: str, there: Collection[str]) -> str:
    """A header in which functions that start kernels, but for those that are `there`, say that they are not."""

    def kept(found: re.Match) -> str:
        if found[1] in there:
            return found[0]
        return f'inline void {found[1]}({found[2]}) {{ TORCH_CHECK(false, "{found[1]} was not built"); }}'

    return _LAUNCHER.sub(kept, header)


def fewer_channels(source: str) -> str:
    """A source without the instances of kernels for other numbers of channels."""

    def kept(found: re.Match) -> str:
        return found[0] if int(found[1]) in kernels.CHANNELS else "// " + found[0].strip()

    return _INSTANCE.sub(kept, source)


def _linked_runtime(own: Path | None, place: Path) -> list[str]:
    """What the linker needs to find the CUDA runtime that pip installed: it has no file of the name that is asked."""
    runtime = next(iter(sorted((own / "lib").glob("libcudart.so.*"))), None) if own else None
    if runtime is None:
        return []
    (place / "lib").mkdir(exist_ok=True)
    named = place / "lib" / "libcudart.so"
    if not named.exists():
        named.symlink_to(runtime)
    return [f"-L{place / 'lib'}"]
