"""What the add-on makes in a file is local, complete and of this version, whatever lies there under the same name."""

import bpy
import numpy as np
import pytest

from support import ewa, splat_renders
from support.cube_scene import add_camera, prepare, select


@pytest.fixture
def own(extension):
    return extension.module("splat_addon.scene.own_data")


@pytest.fixture
def cloud(extension):
    random = np.random.default_rng(4)
    return extension.module("splat_addon.gaussians.cloud").GaussianCloud(
        means=random.normal(0, 0.5, (20, 3)),
        log_scales=random.normal(-1.8, 0.4, (20, 3)),
        quaternions=random.normal(size=(20, 4)),
        logit_opacities=random.normal(2, 1, 20),
        sh=random.normal(0, 0.5, (20, 1, 3)),
    )


@pytest.fixture
def ply(extension, cloud, tmp_path):
    path = tmp_path / "splats.ply"
    extension.module("splat_addon.gaussians.formats.splat_ply").write_splats(path, cloud)
    return path


@pytest.fixture
def bring_in(ply):
    def bring_in() -> bpy.types.Object:
        assert bpy.ops.splat.import_ply(filepath=str(ply)) == {"FINISHED"}
        return bpy.context.view_layer.objects.active

    return bring_in


@pytest.fixture
def library(bring_in, tmp_path):
    """A file with a scene *Shown* that holds splats, with all that belongs to them."""
    item = bring_in()
    item.name, bpy.context.scene.name = "Theirs", "Shown"
    path = tmp_path / "library.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    return path


def load(path, kind: str, name: str, link: bool = True):
    with bpy.data.libraries.load(str(path), link=link) as (_, wanted):
        setattr(wanted, kind, [name])
    return getattr(wanted, kind)[0]


def groups_of(item) -> list[bpy.types.NodeTree]:
    return [modifier.node_group for modifier in item.modifiers]


def psnr_db(extension, cloud, folder) -> float:
    """Of a render of the open scene's visible splats against the judge's."""
    scene = bpy.context.scene
    scene.splat.look = "BLENDER"
    splat_renders.use_cycles()
    splat_renders.add_camera(scene, (0, -5, 0), size=(60, 45))
    assert bpy.ops.splat.set_up_render(is_exact=True) == {"FINISHED"}
    camera = extension.module("splat_addon.scene.cameras.conversion").camera_from_object(scene.camera, scene)
    picture = splat_renders.display_encoded(scene, splat_renders.render(scene, folder))
    return ewa.psnr_db(picture[..., :3], ewa.render(cloud, camera, "blender")[..., :3])


def test_imported_splats_outlive_a_library_that_has_splats_too(extension, library, bring_in, cloud, tmp_path):
    bpy.context.scene.collection.objects.link(load(library, "objects", "Theirs"))
    item = bring_in()
    assert [group.library for group in groups_of(item)] == [None, None]
    name = item.name
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "main.blend"))
    library.rename(tmp_path / "moved.blend")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "main.blend"))
    scene = bpy.context.scene
    for item in list(scene.objects):
        if item.library is not None:
            bpy.data.objects.remove(item)
    assert [item.name for item in scene.objects] == [name]
    assert psnr_db(extension, cloud, tmp_path) > 60


def damage_nothing(_group):
    pass


def link_the_material(group):
    """As after Make Local of the selected object alone."""
    paint = next(node for node in group.nodes if node.bl_idname == "GeometryNodeSetMaterial")
    paint.inputs["Material"].default_value = None


@pytest.mark.parametrize(
    "damage",
    [
        lambda group: group.nodes.remove(group.nodes[len(group.nodes) // 2]),
        lambda group: group.links.remove(group.links[0]),
        link_the_material,
        lambda group: group.__setitem__("splat_version", 2),
        lambda group: group.interface.remove(group.interface.items_tree["Near Plane Scale"]),
    ],
    ids=["a node is gone", "a link is gone", "its material is gone", "an earlier version's", "a socket is gone"],
)
def test_a_damaged_node_group_is_filled_again_for_all_that_use_it(extension, bring_in, cloud, damage, tmp_path):
    first = bring_in()
    group = groups_of(first)[0]
    first.hide_render = True
    damage(group)
    second = bring_in()
    assert groups_of(second)[0] == group == groups_of(first)[0]
    assert psnr_db(extension, cloud, tmp_path) > 60


@pytest.mark.parametrize("name", ["Splat Quads", "Splat Box", "Splat Radiance"])
def test_what_an_artist_has_given_our_name_is_left_alone(extension, bring_in, cloud, name, tmp_path):
    is_material = name == "Splat Radiance"
    theirs = bpy.data.materials.new(name) if is_material else bpy.data.node_groups.new(name, "GeometryNodeTree")
    tree = theirs.node_tree if is_material else theirs
    before = len(tree.nodes) if tree else 0
    item = bring_in()
    assert theirs not in groups_of(item) and theirs.users == 0
    assert (len(tree.nodes) if tree else 0) == before
    assert psnr_db(extension, cloud, tmp_path) > 60


def test_ours_are_known_by_their_marks_after_an_artist_has_renamed_them(bring_in):
    first = bring_in()
    for group in groups_of(first):
        group.name = f"My {group.name}"
    collection = first.users_collection[0]
    collection.name = "My Results"
    second = bring_in()
    assert groups_of(second) == groups_of(first) and second.users_collection == (collection,)
    assert len(bpy.data.node_groups) == 2


def test_an_appended_group_of_an_earlier_version_is_not_taken_for_ours(own, bring_in, library):
    first = bring_in()
    theirs = load(library, "objects", "Theirs", link=False)
    bpy.context.scene.collection.objects.link(theirs)
    appended = groups_of(theirs)[0]
    appended[own.VERSION_KEY] = 1
    assert bpy.ops.splat.set_up_render() == {"FINISHED"}
    assert groups_of(theirs)[0] == groups_of(first)[0] and groups_of(theirs)[0] != appended


def exclude(_library):
    bpy.context.view_layer.layer_collection.children["Splats"].exclude = True


def exclude_its_parent(_library):
    parent, splats = bpy.data.collections.new("Assets"), bpy.data.collections["Splats"]
    bpy.context.scene.collection.children.link(parent)
    bpy.context.scene.collection.children.unlink(splats)
    parent.children.link(splats)
    bpy.context.view_layer.layer_collection.children["Assets"].exclude = True


def link_a_namesake(library):
    bpy.data.collections.remove(bpy.data.collections["Splats"])
    bpy.context.scene.collection.children.link(load(library, "collections", "Splats"))


def override_a_namesake(library):
    link_a_namesake(library)
    linked = bpy.data.collections["Splats"]
    linked.override_hierarchy_create(bpy.context.scene, bpy.context.view_layer)


@pytest.mark.parametrize("make_unusable", [exclude, exclude_its_parent, link_a_namesake, override_a_namesake])
def test_splats_get_a_collection_that_is_local_and_shown(library, bring_in, make_unusable):
    bring_in()
    make_unusable(library)
    item = bring_in()
    assert item == bpy.context.view_layer.objects.active and item.visible_get()
    (home,) = item.users_collection
    assert home.library is None and home.override_library is None
    assert bring_in().users_collection == (home,), "the next import finds it"


def test_a_collection_that_another_view_layer_excludes_is_used(bring_in):
    home = bring_in().users_collection[0]
    other = bpy.context.scene.view_layers.new("Without Splats")
    other.layer_collection.children["Splats"].exclude = True
    item = bring_in()
    assert item.users_collection == (home,) and item.name not in other.objects


def test_each_of_two_scenes_gets_its_own_collection(bring_in):
    first = bring_in()
    other = bpy.data.scenes.new("Other")
    other.collection.objects.link(first)
    bpy.context.window.scene = other
    second = bring_in()
    assert second.users_collection[0] != first.users_collection[0] and second.name in other.objects


def test_a_scene_that_is_linked_is_left_alone_with_a_sentence(bring_in, library, ply):
    bpy.context.window.scene = load(library, "scenes", "Shown")
    before = len(bpy.data.objects)
    with pytest.raises(RuntimeError, match=r"'Shown' is linked from another file.*Open that file"):
        bpy.ops.splat.import_ply(filepath=str(ply))
    assert len(bpy.data.objects) == before


def test_a_finished_run_comes_in_beside_a_linked_object_of_that_run(extension, cloud, library, bring_in):
    run_object = extension.module("splat_addon.scene.runs.run_object")
    folder = extension.module("splat_addon.run.folder").RunFolder(library.parent / "run_001")
    linked = load(library, "objects", "Theirs")
    bpy.context.scene.collection.objects.link(linked)
    linked[extension.module("splat_addon.scene.runs.run_identity").RUN_KEY] = str(folder.path)
    item = run_object.put(bpy.context.scene, folder, cloud)
    assert item.library is None and len(item.data.attributes["position"].data) == 20
    bpy.context.view_layer.layer_collection.children["Splats"].exclude = True
    assert run_object.put(bpy.context.scene, folder, cloud) == item, "it is found where the artist has put it"
    other = extension.module("splat_addon.run.folder").RunFolder(library.parent / "run_002")
    second = run_object.put(bpy.context.scene, other, cloud)
    bpy.context.view_layer.update()
    assert second.name in bpy.context.view_layer.objects


def test_a_dome_is_built_beside_a_linked_and_an_excluded_one(extension, tmp_path):
    rigs = extension.module("splat_addon.scene.cameras.rigs")
    scene = prepare(tmp_path / "capture")
    make = lambda: rigs.make_dome(scene, np.eye(3), 3, 50.0, 10.0)  # noqa: E731
    make()
    bpy.context.view_layer.layer_collection.children["Splat Cameras"].exclude = True
    make()
    bpy.context.view_layer.update()
    seen = [item for item in bpy.context.view_layer.objects if item.type == "CAMERA"]
    assert len(seen) == 3 and len([item for item in scene.objects if item.type == "CAMERA"]) == 6
    make()
    assert len([item for item in scene.objects if item.type == "CAMERA"]) == 6, "the shown dome was replaced"


def test_the_camera_of_reviews_is_never_an_artists_own(extension):
    held_out = extension.module("splat_addon.scene.review.held_out")
    theirs = add_camera(held_out.CAMERA_NAME)
    ours = held_out._review_camera(bpy.context.scene)
    assert ours != theirs and ours.name in bpy.context.scene.collection.objects
    ours.name = "Renamed"
    assert held_out._review_camera(bpy.context.scene) == ours
    select(theirs)


def test_overrides_of_splats_are_set_up_for_renders(bring_in, library, extension, cloud, tmp_path):
    bpy.context.scene.collection.objects.link(load(library, "objects", "Theirs"))
    override = bpy.data.objects["Theirs"].override_create(remap_local_usages=True)
    assert override.override_library is not None
    assert psnr_db(extension, cloud, tmp_path) > 60
