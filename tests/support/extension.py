"""The extension inside the bpy module, enabled the way Blender enables it: as `bl_ext.<repository>.splat_training`.

Nothing here imports bpy before `BLENDER_USER_RESOURCES` names a temporary folder, so that neither a test nor a
benchmark ever reads or writes the developer's own Blender settings.
"""

import atexit
import importlib
import importlib.util
import os
import shutil
import sys
import tempfile
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REPOSITORY = "splat_checkout"
EXTENSION = f"bl_ext.{REPOSITORY}.splat_training"


HAS_BLENDER = importlib.util.find_spec("bpy") is not None

_resources: Path | None = None


class Extension:
    """An enabled extension. Its modules are other objects than those that `import splat_addon` gives."""

    def __init__(self, name: str):
        self.name = name

    def module(self, path: str):
        """One of its modules, as in `extension.module("splat_addon.scene.cameras.rigs")`; "" is the root."""
        return importlib.import_module(f"{self.name}.{path}" if path else self.name)

    def drop(self, kind: type) -> None:
        """End one feature's state, as the end of the session does; it begins anew when it is asked for."""
        self.module("splat_addon.scene.session")._open[-1].drop(kind)


def use_temporary_resources() -> Path:
    """Give Blender an empty user folder, removed at exit. The first call must come before the first `import bpy`.

    Also a shader cache apart from the developer's: another version of Mesa (in a container, a Flatpak, a chroot) cuts
    the cache's index to its own length, and a Blender that has it mapped dies of a bus error at its next new shader.
    """
    global _resources
    if _resources is None:
        if "bpy" in sys.modules:
            raise RuntimeError("bpy was imported before use_temporary_resources() was called")
        _resources = Path(tempfile.mkdtemp(prefix="splat_blender_"))
        os.environ["BLENDER_USER_RESOURCES"] = str(_resources)
        os.environ.setdefault("MESA_SHADER_CACHE_DIR", str(Path(sys.prefix) / "mesa"))
        atexit.register(shutil.rmtree, _resources, ignore_errors=True)
    return _resources


def enable_extension() -> str:
    """Enable the checkout as an extension and return its module name; a failure is raised with its traceback."""
    resources = use_temporary_resources()
    import bpy  # first: it makes addon_utils importable

    import addon_utils  # isort: skip

    repositories = bpy.context.preferences.extensions.repos
    if not any(repository.module == REPOSITORY for repository in repositories):
        directory = resources / "checkout"
        directory.mkdir()
        _link_or_copy(ROOT, directory / "splat_training")
        repositories.new(
            name="Checkout", module=REPOSITORY, custom_directory=str(directory), remote_url="", source="USER"
        )
    _checked(addon_utils.enable, EXTENSION, default_set=True)
    return EXTENSION


def disable_extension() -> None:
    """Disable the extension again; a failure is raised with its traceback."""
    import addon_utils

    _checked(addon_utils.disable, EXTENSION, default_set=True)


def register_twice() -> None:
    """Enable and disable the extension two times, and require that nothing of it stays behind."""
    use_temporary_resources()
    import bpy

    before = _registered(bpy)
    for attempt in ("first", "second"):
        enable_extension()
        if _registered(bpy) == before:
            raise AssertionError("enabling the extension registered nothing")
        disable_extension()
        left = sorted(_registered(bpy) - before)
        if left:
            raise AssertionError(f"after disabling the extension the {attempt} time, still there: {', '.join(left)}")


def trainer_python() -> Path | None:
    """The Python with PyTorch that `python3 dev.py test` names in SPLAT_TRAINER_PYTHON, if it is there."""
    path = Path(os.environ.get("SPLAT_TRAINER_PYTHON", ""))
    return path if path.is_file() else None


def skipped_module(module_path, parent):
    """For `pytest_pycollect_makemodule`: a test module that is skipped, unread, because this Python lacks Blender."""
    import pytest

    class WithoutBlender(pytest.Module):
        def collect(self):
            pytest.skip("the bpy module is not installed in this Python", allow_module_level=True)

    return WithoutBlender.from_parent(parent, path=module_path)


def _checked(function, *arguments, **options) -> None:
    """Call one of addon_utils' functions and raise what it would only print."""
    errors: list[str] = []

    def keep(_error: Exception) -> None:
        errors.append(traceback.format_exc())

    result = function(*arguments, **options, handle_error=keep)
    if errors:
        raise RuntimeError(f"{function.__name__} failed for {EXTENSION}:\n" + "\n".join(errors))
    if function.__name__ == "enable" and result is None:
        raise RuntimeError(f"{EXTENSION} was not enabled, and Blender did not say why")


def _registered(bpy) -> set[str]:
    """Names of what an extension adds to Blender: classes, properties of ID types, and application handlers."""
    names = {f"bpy.types.{name}" for name in dir(bpy.types)}
    for type_name in ("Scene", "Object", "WindowManager", "Collection", "Camera"):
        names |= {f"bpy.types.{type_name}.{name}" for name in dir(getattr(bpy.types, type_name))}
    for handlers in (getattr(bpy.app.handlers, name) for name in dir(bpy.app.handlers)):
        if isinstance(handlers, list):
            names |= {f"handler {handler.__module__}.{handler.__qualname__}" for handler in handlers}
    return names


def _link_or_copy(source: Path, target: Path) -> None:
    """A symbolic link, or a copy of what is shipped where the system refuses links (Windows without developer mode)."""
    try:
        target.symlink_to(source, target_is_directory=True)
    except OSError:
        unshipped = shutil.ignore_patterns(".*", "__pycache__", "tests", "benchmarks", "demo", "dist")
        shutil.copytree(source, target, ignore=unshipped)
