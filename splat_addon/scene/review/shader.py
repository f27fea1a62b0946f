"""The shader that lays photo, trained image, their difference or a wipe over the camera's frame.

It works on display-encoded numbers. Every pixel of the screen shows the mean of what it covers of the image, so that
nothing flickers in a small frame and an enlarged image has crisp square pixels; at one to one, the numbers are exact.
"""

import functools
from dataclasses import dataclass
from typing import Any

import gpu
from gpu_extras.batch import batch_for_shader

from ...capture.camera import Camera
from .frame import Frame
from .pictures import Picture

_GPU: Any = gpu  # the type stubs know nothing of its arguments

MODES = ("PHOTO", "RENDER", "DIFFERENCE", "WIPE")
VIEWPORT_EXPONENT = 2.2
"""The viewport keeps its overlays in an sRGB texture and shows them through a power of 1 / 2.2 (Blender's display
transform, `OCIO_ProcessColor`): this power before makes the displayed numbers those that were meant."""

_VERTEX = """
void main()
{
  place = corner;
  gl_Position = vec4(position, 0.0, 1.0);
}
"""
_FRAGMENT = """
vec3 mean_color(sampler2D image, vec2 where, vec2 footprint)
{
  vec2 size = vec2(textureSize(image, 0));
  vec2 covered = footprint * size;
  vec2 count = clamp(ceil(covered - 0.01), vec2(1.0), vec2(8.0));
  vec2 part = covered / count;
  vec3 sum = vec3(0.0);
  for (float row = 0.5; row < count.y; row += 1.0) {
    for (float column = 0.5; column < count.x; column += 1.0) {
      vec2 texel = where * size + (vec2(column, row) - 0.5 * count) * part;
      vec2 seam = floor(texel + 0.5);
      texel = seam + clamp((texel - seam) / part, vec2(-0.5), vec2(0.5));
      sum += texture(image, texel / size).rgb;
    }
  }
  return sum / (count.x * count.y);
}

/* Where the lens has put what an ideal camera sees at `where`: Brown-Conrady with the rational terms of OpenCV. */
vec2 through_lens(vec2 where)
{
  vec2 slope = (vec2(where.x, 1.0 - where.y) - lens.zw) / lens.xy;
  float r2 = dot(slope, slope);
  float radial = (1.0 + r2 * (bend.x + r2 * (bend.y + r2 * more_bend.x))) /
                 (1.0 + r2 * (more_bend.y + r2 * (more_bend.z + r2 * more_bend.w)));
  float both = 2.0 * slope.x * slope.y;
  vec2 shifted = slope * radial + vec2(bend.z * both + bend.w * (r2 + 2.0 * slope.x * slope.x),
                                       bend.z * (r2 + 2.0 * slope.y * slope.y) + bend.w * both);
  vec2 found = shifted * lens.xy + lens.zw;
  return vec2(found.x, 1.0 - found.y);
}

/* Inferno (van der Walt and Smith, public domain) as a polynomial by Matt Zucker, public domain. */
vec3 heat(float t)
{
  vec3 c0 = vec3(0.00021894, 0.00165100, -0.01948090);
  vec3 c1 = vec3(0.10651342, 0.56395644, 3.93271239);
  vec3 c2 = vec3(11.60249308, -3.97285397, -15.94239411);
  vec3 c3 = vec3(-41.70399613, 17.43639888, 44.35414520);
  vec3 c4 = vec3(77.16293570, -33.40235894, -81.80730926);
  vec3 c5 = vec3(-71.31942824, 32.62606426, 73.20951986);
  vec3 c6 = vec3(25.13112622, -12.24266895, -23.07032500);
  return clamp(c0 + t * (c1 + t * (c2 + t * (c3 + t * (c4 + t * (c5 + t * c6))))), 0.0, 1.0);
}

void main()
{
  int mode = int(choice.x);
  vec2 footprint = 1.0 / frame_size;
  if (mode == 2) {
    footprint = max(footprint, 1.0 / vec2(textureSize(trained, 0)));
  }
  bool has_lens = any(notEqual(bend, vec4(0.0))) || any(notEqual(more_bend, vec4(0.0)));
  vec2 seen = has_lens ? through_lens(place) : place;
  bool is_photo = mode == 0 || (mode == 3 && place.x < choice.y);
  bool is_outside = any(lessThan(seen, vec2(0.0))) || any(greaterThan(seen, vec2(1.0)));
  if (is_outside && (is_photo || mode == 2)) {
    discard;
  }
  vec3 color;
  if (mode == 2) {
    color = abs(mean_color(photo, seen, footprint) - mean_color(trained, place, footprint));
    color = choice.w > 0.5 ? heat(min(1.0, choice.z * (color.r + color.g + color.b) / 3.0)) : choice.z * color;
  }
  else if (is_photo) {
    color = mean_color(photo, seen, footprint);
  }
  else {
    color = mean_color(trained, place, footprint);
  }
  color = clamp(color, 0.0, 1.0);
  drawn = vec4(pow(color, vec3(exponent)), opacity);
}
"""


@dataclass(frozen=True)
class Look:
    """How the two images are shown; the choices of `SPLAT_PG_review`."""

    mode: str
    wipe: float = 0.5
    gain: float = 4.0
    use_ramp: bool = False
    opacity: float = 1.0


@functools.cache
def _shader() -> Any:
    info = _GPU.types.GPUShaderCreateInfo()
    info.push_constant("VEC4", "choice")  # mode, wipe, gain, heat colors or not
    info.push_constant("VEC4", "lens")  # focal lengths and principal point, in parts of the image
    info.push_constant("VEC4", "bend")  # k1, k2, p1, p2
    info.push_constant("VEC4", "more_bend")  # k3, k4, k5, k6
    info.push_constant("VEC2", "frame_size")  # pixels
    info.push_constant("FLOAT", "exponent")
    info.push_constant("FLOAT", "opacity")
    info.sampler(0, "FLOAT_2D", "photo")
    info.sampler(1, "FLOAT_2D", "trained")
    info.vertex_in(0, "VEC2", "position")
    info.vertex_in(1, "VEC2", "corner")
    between = _GPU.types.GPUStageInterfaceInfo("splat_review_place")
    between.smooth("VEC2", "place")
    info.vertex_out(between)
    info.fragment_out(0, "VEC4", "drawn")
    info.vertex_source(_VERTEX)
    info.fragment_source(_FRAGMENT)
    return _GPU.shader.create_from_info(info)


def forget_shader() -> None:
    """Before the add-on goes."""
    _shader.cache_clear()


def draw_images(
    frame: Frame,
    target_size: tuple[int, int],
    photo: Picture,
    trained: Picture,
    camera: Camera,
    look: Look,
    exponent: float = VIEWPORT_EXPONENT,
) -> None:
    """Draw over `frame` in a target of `target_size` pixels. `camera` has the lens that took the photo.

    `exponent` is 1 for a target that keeps display-encoded numbers as they are.
    """
    shader = _shader()
    width, height = target_size
    left, right = (2 * x / width - 1 for x in (frame.left, frame.right))
    bottom, top = (2 * y / height - 1 for y in (frame.bottom, frame.top))
    corners = [(0, 0), (1, 0), (0, 1), (1, 1)]
    places = [(right if x else left, top if y else bottom) for x, y in corners]
    batch = batch_for_shader(shader, "TRI_STRIP", {"position": places, "corner": corners})
    bend = (*camera.distortion, *[0.0] * (8 - len(camera.distortion)))
    shader.bind()
    shader.uniform_float("choice", (MODES.index(look.mode), look.wipe, look.gain, float(look.use_ramp)))
    shader.uniform_float(
        "lens",
        (camera.fx / camera.width, camera.fy / camera.height, camera.cx / camera.width, camera.cy / camera.height),
    )
    shader.uniform_float("bend", bend[:4])
    shader.uniform_float("more_bend", bend[4:])
    shader.uniform_float("frame_size", (frame.width, frame.height))
    shader.uniform_float("exponent", exponent)
    shader.uniform_float("opacity", look.opacity)
    shader.uniform_sampler("photo", photo.texture())
    shader.uniform_sampler("trained", trained.texture())
    gpu.state.blend_set("ALPHA" if look.opacity < 1 else "NONE")
    gpu.state.depth_test_set("NONE")
    batch.draw(shader)
    gpu.state.blend_set("NONE")
