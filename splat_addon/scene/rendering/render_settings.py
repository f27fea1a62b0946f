"""Every setting of a render, and what becomes of it in the copy that is rendered: one table.

Each property is in exactly one of three groups. *Neutral* ones would change pixels between the scene and what training
needs, and are set to the value given, with a sentence where the artist had another. *Kept* ones are part of how the
scene looks, and stay as the artist set them. *Irrelevant* ones change no pixel of these images. A test fails when a
Blender has a property that nobody has put into a group.

Names that end in `*` stand for all that begin so. Neutral paths begin with the struct's name in `STRUCTS`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import bpy

# The structs of a scene that hold settings of renders, by path; those of view layers are in `layer…`.
STRUCTS = (
    "render", "render.image_settings", "cycles", "eevee", "eevee.ray_tracing_options", "view_settings",
    "display_settings", "layer", "layer.cycles", "layer.eevee",
)  # fmt: skip


@dataclass(frozen=True)
class Neutral:
    """The value that a setting gets in the copy, and what the artist is told when it was another."""

    value: Any
    sentence: str = ""


_VIEW = Neutral(None)  # set by `image_settings.py`, with one sentence for all of them

NEUTRAL: dict[str, Neutral] = {
    "render.film_transparent": Neutral(True),
    "render.use_compositing": Neutral(False),  # said where there is a compositor tree
    "render.use_sequencer": Neutral(False),  # said where there are strips
    "render.use_border": Neutral(False),  # kept where it crops and no other size is asked for
    "render.use_motion_blur": Neutral(False, "Motion blur was switched off: splats need sharp photos."),
    "render.use_multiview": Neutral(False, "Stereoscopy was switched off: each image has one camera."),
    "render.use_stamp": Neutral(False, "Metadata is not burned into the images."),
    "render.dither_intensity": Neutral(0.0),
    "render.use_overwrite": Neutral(True),
    "render.use_placeholder": Neutral(False),
    "render.use_file_extension": Neutral(True),
    "render.save_output": Neutral(True),
    "render.use_render_cache": Neutral(False),
    "render.use_single_layer": Neutral(False),
    "render.use_persistent_data": Neutral(True),
    "render.image_settings.media_type": Neutral("IMAGE"),  # before the format
    "render.image_settings.file_format": Neutral("PNG"),
    "render.image_settings.color_mode": Neutral("RGBA"),
    "render.image_settings.color_depth": Neutral("8"),
    "render.image_settings.compression": Neutral(15),
    "render.image_settings.use_preview": Neutral(False),
    "render.image_settings.color_management": Neutral(
        "FOLLOW_SCENE", "The output's own color management was switched off: images show the scene's own colors."
    ),
    "cycles.film_exposure": Neutral(
        1.0, "Film Exposure was switched off: splats come back in the scene's own brightness."
    ),
    "cycles.film_transparent_glass": Neutral(
        False, "Transparent Glass was switched off: what is seen through glass belongs to the images."
    ),
    "cycles.sample_offset": Neutral(0),
    "cycles.use_sample_subset": Neutral(False, "Sample Subset was switched off: each image gets all its samples."),
    "view_settings.view_transform": _VIEW,
    "view_settings.look": Neutral("None"),
    "view_settings.exposure": Neutral(0.0),
    "view_settings.gamma": Neutral(1.0),
    "view_settings.use_curve_mapping": Neutral(False),
    "view_settings.use_white_balance": Neutral(False),
    "view_settings.use_hdr_view": Neutral(False),
    "display_settings.display_device": _VIEW,
    "display_settings.emulation": Neutral("AUTO"),
    "layer.use": _VIEW,  # the first that is used, alone
}

KEPT = {
    # The panel's own size, engine and samples take the place of the first ones where the artist asks for them.
    "render": """
        resolution_x resolution_y resolution_percentage pixel_aspect_x pixel_aspect_y engine
        border_min_x border_min_y border_max_x border_max_y use_crop_to_border
        fps fps_base frame_map_old frame_map_new filter_size hair_type hair_subdiv use_high_quality_normals
        use_freestyle line_thickness_mode line_thickness
        use_simplify simplify_subdivision_render simplify_child_particles_render simplify_volumes use_simplify_normals
        simplify_gpencil* anisotropic_filter use_texture_cache use_auto_generate_texture_cache
        """,
    "cycles": """
        feature_set shading_system use_denoising denoiser denoising_prefilter denoising_quality
        denoising_input_passes samples time_limit sampling_pattern scrambling_distance auto_scrambling_distance
        use_layer_samples light_sampling_threshold use_adaptive_sampling adaptive_threshold adaptive_min_samples
        sample_subset_length direct_light_sampling_type use_light_tree min_light_bounces min_transparent_bounces
        caustics_reflective caustics_refractive blur_glossy use_guiding use_deterministic_guiding
        guiding_distribution_type guiding_directional_sampling_type use_surface_guiding surface_guiding_probability
        use_volume_guiding guiding_training_samples volume_guiding_probability use_guiding_direct_light
        use_guiding_mis_weights guiding_roughness_threshold max_bounces diffuse_bounces glossy_bounces
        transmission_bounces volume_bounces transparent_max_bounces volume_biased volume_step_rate volume_max_steps
        dicing_rate max_subdivisions dicing_camera offscreen_dicing_scale pixel_filter_type filter_width
        use_pixel_jitter seed use_animated_seed sample_clamp_direct sample_clamp_indirect
        use_camera_cull camera_cull_margin use_distance_cull distance_cull_margin
        texture_limit_render texture_resolution_render use_fast_gi fast_gi_method ao_bounces_render
        """,
    "eevee": """
        gi_diffuse_bounces gi_cubemap_resolution gi_visibility_resolution gi_irradiance_smoothing gi_glossy_clamp
        gi_filter_quality gi_irradiance_pool_size taa_render_samples time_limit ray_tracing_method
        clamp_surface_direct clamp_surface_indirect clamp_volume_direct clamp_volume_indirect
        volumetric_start volumetric_end volumetric_tile_size volumetric_samples volumetric_sample_distribution
        volumetric_ray_depth use_volumetric_shadows volumetric_shadow_samples use_volume_custom_range
        fast_gi_thickness_near fast_gi_thickness_far fast_gi_quality fast_gi_step_count fast_gi_ray_count
        fast_gi_method fast_gi_distance fast_gi_bias fast_gi_resolution use_fast_gi
        use_shadows shadow_pool_size shadow_ray_count shadow_step_count shadow_resolution_scale light_threshold
        use_overscan overscan_size use_raytracing direct_light_intensity indirect_light_intensity
        """,
    "eevee.ray_tracing_options": """
        resolution_scale use_denoise denoise_spatial denoise_temporal denoise_bilateral screen_trace_thickness
        trace_max_roughness screen_trace_quality use_backface_hit backface_radiance_scale
        """,
    "layer": """
        material_override world_override samples pass_alpha_threshold use_solid use_sky use_ao use_strand use_volumes
        use_grease_pencil use_freestyle freestyle_settings layer_collection
        """,
    "layer.cycles": "use_denoising denoising_pass_*",
    "layer.eevee": "ambient_occlusion_distance denoising_pass_*",
}

IRRELEVANT = {
    "render": """
        image_settings preview_pixel_size ffmpeg threads threads_mode compositor_* use_compositor_frames_cache
        motion_blur_* file_extension is_movie_format filepath use_lock_interface
        bake bake_* use_bake_* use_stamp_* stamp_* metadata_input ppm_factor ppm_base
        sequencer_gl_preview use_sequencer_override_scene_strip views stereo_views views_format
        has_multiple_engines use_spherical_stereo simplify_subdivision simplify_child_particles
        """,  # compositing, motion blur, stamps, the sequencer and stereoscopy are off
    "render.image_settings": """
        quality exr_codec use_exr_interleave use_jpeg2k_* jpeg2k_codec tiff_codec use_cineon_log cineon_*
        views_format stereo_3d_format view_settings display_settings linear_colorspace_settings has_linear_colorspace
        """,
    "cycles": """
        name device denoising_use_gpu preview_* use_preview_* volume_preview_step_rate debug_* bake_type
        film_transparent_roughness rolling_shutter_* texture_limit texture_resolution ao_bounces use_auto_tile tile_size
        """,  # of a film without transparent glass and without motion blur
    "eevee": """
        ray_tracing_options taa_samples use_taa_reprojection use_shadow_jitter_viewport motion_blur_*
        bokeh_* use_bokeh_* gi_show_* gi_irradiance_display_size gi_cubemap_display_size
        use_bloom bloom_* use_ssr* ssr_* sss_* use_gtao* gtao_* use_volumetric_lights volumetric_light_clamp
        shadow_cube_size shadow_cascade_size use_shadow_high_bitdepth use_soft_shadows
        """,  # depth of field is off; the last two lines are of the EEVEE before 4.2, which is gone
    "view_settings": "curve_mapping white_balance_* is_hdr support_emulation",
    "layer": """
        name eevee cycles aovs active_* lightgroups use_pass_* pass_cryptomatte_depth use_motion_blur objects depsgraph
        has_export_collections
        """,
    "layer.cycles": "name pass_* use_pass_* denoising_store_*",
    "layer.eevee": "use_pass_* denoising_store_*",
}


def group_of(struct: str, name: str) -> str:
    """`neutral`, `kept` or `irrelevant`: the group of a property of one of `STRUCTS`; empty where it has none."""
    if f"{struct}.{name}" in NEUTRAL:
        return "neutral"
    for group, table in (("kept", KEPT), ("irrelevant", IRRELEVANT)):
        whole, beginnings = _split(table.get(struct, ""))
        if name in whole or name.startswith(beginnings):
            return group
    return ""


@cache
def _split(names: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """Names of a table that are whole, and the beginnings of the others."""
    words = names.split()
    return frozenset(words), tuple(word.removesuffix("*") for word in words if word.endswith("*"))


def struct_of(scene: bpy.types.Scene, layer: bpy.types.ViewLayer, path: str) -> Any:
    """One of `STRUCTS` of a scene and its view layer; None where this Blender lacks it."""
    first, *others = path.split(".")
    owner: Any = layer if first == "layer" else getattr(scene, first, None)
    for name in others:
        owner = getattr(owner, name, None)
    return owner


def kept_settings(scene: bpy.types.Scene, layer: bpy.types.ViewLayer) -> Iterator[tuple[str, Any]]:
    """Path and value of everything that is kept as the artist's, but for structs of their own."""
    for path in KEPT:
        owner = struct_of(scene, layer, path)
        for spec in owner.bl_rna.properties if owner is not None else ():
            if spec.type != "COLLECTION" and group_of(path, spec.identifier) == "kept":
                value = getattr(owner, spec.identifier)
                if spec.type != "POINTER":
                    yield f"{path}.{spec.identifier}", value
                elif isinstance(value, bpy.types.ID):
                    yield f"{path}.{spec.identifier}", value.name_full


def make_neutral(scene: bpy.types.Scene, layer: bpy.types.ViewLayer, engine: str) -> list[str]:
    """Set every neutral setting that has a value in the table; return the sentences for those that were different.

    Of another engine's settings than `engine` nothing is said.
    """
    notes = []
    for path, neutral in NEUTRAL.items():
        struct, _, name = path.rpartition(".")
        owner = struct_of(scene, layer, struct)
        if neutral is _VIEW or owner is None or not hasattr(owner, name):
            continue
        is_used = struct != "cycles" or engine == "CYCLES"
        if getattr(owner, name) != neutral.value:
            setattr(owner, name, neutral.value)
            if neutral.sentence and is_used:
                notes.append(neutral.sentence)
    return notes
