"""`python -m splat_addon.trainer.backend.cuda --compile FOLDER`: compile gsplat's CUDA kernels into FOLDER.

The sources are gsplat's own, copied without the instances for numbers of channels that training never blends: nineteen
sizes of each kernel take most of an hour of processor time, two a few minutes. `kernels.build` sets what PyTorch's
builder looks for in the environment, and keeps what is printed.
"""

import importlib.util
import re
import shutil
import sys
from pathlib import Path

from . import kernels, toolkit

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
    """gsplat's sources in `target`, with the channels of `kernels.CHANNELS` alone; those that are to be compiled."""
    for name in ("csrc", "include"):
        shutil.copytree(gsplat / name, target / name, dirs_exist_ok=True, copy_function=_copy_if_changed)
    _copy_if_changed(gsplat / "ext.cpp", target / "ext.cpp")
    compiled = [*sorted((target / "csrc").glob("*.cu")), *sorted((target / "csrc").glob("*.cpp")), target / "ext.cpp"]
    return compiled


def _copy_if_changed(source: str | Path, target: str | Path) -> None:
    """Leave a file that is the same alone, so that an interrupted build goes on where it was."""
    content, target = Path(source).read_bytes(), Path(target)
    if Path(source).suffix in (".cu", ".cpp"):
        content = fewer_channels(content.decode()).encode()
    if not target.is_file() or target.read_bytes() != content:
        target.write_bytes(content)


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
