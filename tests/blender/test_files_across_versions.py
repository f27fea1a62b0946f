"""Files that other Blenders made, opened here: the same splats, the same picture, shown or not as they were saved.

Each other Blender that is there makes its files once in the test run. What differs by version is the carrier: a mesh
before 5.1, then a point cloud, from 5.3 on of Blender's own type for splats, which older Blenders do not keep.
"""

from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
import pytest

from support import other_blenders, splat_renders

OWN = "{}.{}".format(*bpy.app.version)
PYTHONS = other_blenders.pythons()
LARGEST_DIFFERENCE = 1e-5  # between the pictures of two versions of Cycles


def version(series: str) -> tuple[int, ...]:
    return tuple(map(int, series.split(".")))


def can_open(reader: str, maker: str) -> bool:
    """Whether splats arrive. Meshes do up to the format of 5.0, which 4.5 knows; point clouds need 5.1, and 5.2 keeps
    the base colors in a type that Blenders before drop."""
    if version(maker) >= (5, 2):
        return version(reader) >= (5, 2)
    if version(maker) >= (5, 1):
        return version(reader) >= (5, 1)
    return version(reader) >= (4, 5) or version(maker) < (5, 0)


def type_of(data) -> str:
    """What Blender draws a carrier as, where no modifier is in the way."""
    return "MESH" if isinstance(data, bpy.types.Mesh) else getattr(data, "type", "POINTS")


def type_from(maker: str) -> str:
    """What it was made as, as far as this Blender knows that type."""
    if version(maker) < (5, 1):
        return "MESH"
    return "GAUSSIAN_SPLAT" if min(version(maker), version(OWN)) >= (5, 3) else "POINTS"


@dataclass(frozen=True)
class Made:
    """What a Blender made and what it says about it."""

    folder: Path

    @property
    def numbers(self) -> dict[str, np.ndarray]:
        return dict(np.load(self.folder / other_blenders.NUMBERS))

    @property
    def picture(self) -> np.ndarray:
        return splat_renders.load(self.folder / other_blenders.PICTURE)

    def open(self, name: str):
        """Open one of its files; the object with the splats."""
        bpy.ops.wm.open_mainfile(filepath=str(self.folder / name))
        return bpy.data.objects[other_blenders.NAME]


@pytest.fixture(scope="module")
def ply(extension, tmp_path_factory):
    random = np.random.default_rng(0)
    cloud = extension.module("splat_addon.gaussians.cloud").GaussianCloud(
        means=random.normal(0, 0.6, size=(40, 3)),
        log_scales=random.normal(-2.5, 0.6, size=(40, 3)),
        quaternions=random.normal(size=(40, 4)),
        logit_opacities=random.normal(size=40),
        sh=random.normal(0, 0.4, size=(40, 16, 3)),
        blend_space="blender",
    )
    path = tmp_path_factory.mktemp("splats") / f"{other_blenders.NAME}.ply"
    extension.module("splat_addon.gaussians.formats.splat_ply").write_splats(path, cloud)
    return path


@pytest.fixture(scope="module")
def made_by(ply, tmp_path_factory):
    """A function from a series to what that Blender made; skips where it is not there."""
    known: dict[str, Made] = {}

    def make(series: str) -> Made:
        if series not in known:
            made = Made(tmp_path_factory.mktemp("made"))
            other_blenders.run(PYTHONS[series], "make", ply, made.folder)
            known[series] = made
        return known[series]

    return make


@pytest.fixture
def display(extension):
    return extension.module("splat_addon.scene.viewport.display")


def readable() -> list:
    """The other Blenders whose splats arrive here, as parameters; without any, one that is skipped."""
    others = [series for series in PYTHONS if can_open(OWN, series)]
    reason = f"no other Blender is there whose files {OWN} reads (python3 dev.py test names them)"
    return others or [pytest.param("none", marks=pytest.mark.skip(reason=reason))]


def export(item, path: Path) -> bytes:
    bpy.context.view_layer.objects.active = item
    assert bpy.ops.splat.export_ply(filepath=str(path)) == {"FINISHED"}
    return path.read_bytes()


def assert_same_splats(item, made: Made, tmp_path: Path) -> None:
    numbers, stated = other_blenders.numbers_of(item), made.numbers
    assert numbers.keys() == stated.keys() and {"scale", "radiance:sh_14", "file:opacity"} <= numbers.keys()
    assert [name for name in stated if not np.array_equal(numbers[name], stated[name])] == []
    assert export(item, tmp_path / "again.ply") == (made.folder / other_blenders.EXPORT).read_bytes()


def assert_same_picture(made: Made, tmp_path: Path) -> None:
    splat_renders.use_cycles()
    picture = splat_renders.render(bpy.context.scene, tmp_path)
    assert made.picture[..., 3].max() > 0.5
    assert np.abs(picture - made.picture).max() <= LARGEST_DIFFERENCE


def modifiers(item) -> list[tuple[str, bool, bool]]:
    return [(modifier.name, modifier.show_viewport, modifier.show_render) for modifier in item.modifiers]


BOXED = [("Splat Quads", False, True), ("Splat Box", True, False)]
PLAIN = [("Splat Quads", True, True)]


@pytest.mark.parametrize("maker", readable())
def test_splats_of_another_blender_arrive_whole_and_render_the_same(made_by, tmp_path, maker):
    made = made_by(maker)
    item = made.open(other_blenders.SHOWN)
    assert type_of(item.data) == type_from(maker), "loading changes no type"
    assert item["splat_blend_space"] == "blender" and not item.visible_shadow
    assert_same_splats(item, made, tmp_path)
    assert_same_picture(made, tmp_path)


@pytest.mark.parametrize("maker", readable())
def test_splats_of_another_blender_are_shown_or_not_as_they_were_saved(made_by, display, maker):
    made = made_by(maker)
    item = made.open(other_blenders.SHOWN)
    assert modifiers(item) == BOXED and display.is_shown(bpy.context.scene) and display.is_running()
    assert display.visible_splats(bpy.context.view_layer, None) == [item]
    item = made.open(other_blenders.NOT_SHOWN)
    assert modifiers(item) == PLAIN and not display.is_shown(bpy.context.scene) and not display.is_running()
    assert display.visible_splats(bpy.context.view_layer, None) == []
    assert bpy.ops.splat.toggle_viewport() == {"FINISHED"}
    assert modifiers(item) == BOXED and display.visible_splats(bpy.context.view_layer, None) == [item]


@pytest.mark.parametrize("is_linked", [False, True], ids=["appended", "linked"])
@pytest.mark.parametrize("name", [other_blenders.SHOWN, other_blenders.NOT_SHOWN])
@pytest.mark.parametrize("maker", readable())
def test_appending_and_linking_bring_splats_as_the_other_blender_left_them(
    made_by, display, tmp_path, maker, name, is_linked
):
    made = made_by(maker)
    bpy.context.scene.splat.viewport.show = name != other_blenders.SHOWN  # not as in the file it comes from
    bring = bpy.ops.wm.link if is_linked else bpy.ops.wm.append
    assert bring(directory=str(made.folder / name / "Object"), filename=other_blenders.NAME) == {"FINISHED"}
    (item,) = bpy.context.scene.objects
    bpy.context.view_layer.update()
    assert (item.library is not None) is is_linked and type_of(item.data) == type_from(maker)
    assert_same_splats(item, made, tmp_path)
    is_boxed = name == other_blenders.SHOWN
    assert modifiers(item) == (BOXED if is_boxed else PLAIN)
    assert display.visible_splats(bpy.context.view_layer, None) == ([item] if is_boxed else [])
    assert display.is_shown(bpy.context.scene) is is_boxed and (display.is_running() or not is_boxed)


@pytest.mark.parametrize("other", [other for other in readable() if not isinstance(other, str) or can_open(other, OWN)])
def test_a_file_that_another_blender_saved_again_keeps_all_but_the_type(ply, display, tmp_path, other):
    made = Made(tmp_path)
    other_blenders.make(ply, tmp_path)
    other_blenders.run(PYTHONS[other], "save_again", tmp_path / other_blenders.SHOWN, tmp_path / "again.blend")
    item = made.open("again.blend")
    is_kept = version(OWN) < (5, 3) or version(other) >= (5, 3)
    assert type_of(item.data) == (type_from(OWN) if is_kept else "POINTS")
    assert_same_splats(item, made, tmp_path)
    assert_same_picture(made, tmp_path)
    assert modifiers(item) == BOXED and display.visible_splats(bpy.context.view_layer, None) == [item]


@pytest.mark.skipif(version(OWN) >= (4, 5), reason="only Blenders before 4.5 do not know the format of 5.0")
def test_files_of_blender_5_are_not_read_before_4_5(made_by):
    newer = next((series for series in PYTHONS if version(series) >= (5, 0)), None)
    if newer is None:
        pytest.skip("no Blender 5 is there (python3 dev.py test names them)")
    with pytest.raises(RuntimeError, match="not a blend file"):
        made_by(newer).open(other_blenders.SHOWN)
