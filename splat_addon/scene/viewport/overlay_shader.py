"""The shader that lays the splats' picture over a viewport."""

from typing import Any

import gpu

_types: Any = gpu.types  # newer than the stubs
_make: Any = gpu.shader.create_from_info

# From the picture to the viewport, whose overlays Blender encodes with the power 1/2.2 and blends before that.
_OVERLAY_VERTEX = """
void main() { gl_Position = vec4(corner, 0.0, 1.0); }
"""

_OVERLAY_FRAGMENT = """
void main()
{
  vec4 c = texelFetch(painted, ivec2(gl_FragCoord.xy) - ivec2(origin), 0);
  if (c.a <= 0.0) { discard; }
  vec3 shown = c.rgb / c.a;
  if (is_linear > 0.5) {
    shown = mix(1.055 * pow(max(shown, vec3(0.0)), vec3(1.0 / 2.4)) - 0.055, 12.92 * shown,
                vec3(lessThanEqual(shown, vec3(0.0031308))));
  }
  color = vec4(pow(clamp(shown, vec3(0.0), vec3(1.0)), vec3(2.2)) * c.a, c.a);
}
"""


def make_overlay_shader() -> gpu.types.GPUShader:
    """The shader that lays the picture over the viewport. Needs a GPU context."""
    info = _types.GPUShaderCreateInfo()
    info.sampler(0, "FLOAT_2D", "painted")
    info.push_constant("VEC2", "origin")
    info.push_constant("FLOAT", "is_linear")
    info.vertex_in(0, "VEC2", "corner")
    info.fragment_out(0, "VEC4", "color")
    info.vertex_source(_OVERLAY_VERTEX)
    info.fragment_source(_OVERLAY_FRAGMENT)
    return _make(info)
