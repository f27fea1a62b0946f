"""The shaders of the viewport display: each gaussian is one quad, projected as the trainer projects it.

Everything about a splat is fetched from textures, so that the order texture alone decides what is drawn when:

- `splats`: `texels_per_splat` texels each (see `texels.py`), object space;
- `objects`: one row of `OBJECT_TEXELS` texels per object;
- `order`: places in the concatenation of all objects' splats, far to near;
- `values`: one number per splat, 0..1, for color ramps; below 0 is "has none"; `DIMMED` is added where it is dimmed;
- `scene_depth`: window depth of what Blender drew, for hiding splats behind meshes.

Frames: Blender's view space (+x right, +y up, looking along -z), pixels from the lower left.
"""

from typing import Any

import gpu

from ...gaussians.rules import ANTIALIAS_FLOOR

_types: Any = gpu.types  # newer than the stubs
_make: Any = gpu.shader.create_from_info
# Three rows of view_from_object; eye or direction in the object; first place, first splat, scale of the near plane,
# whether antialiased.
OBJECT_TEXELS = 5
DIMMED = 4.0  # is added to the value of a splat that is dimmed
DIMMED_OPACITY = 0.06  # what is left of its opacity
RAMP = (
    (0.267, 0.005, 0.329),
    (0.231, 0.322, 0.545),
    (0.129, 0.569, 0.549),
    (0.369, 0.788, 0.384),
    (0.993, 0.906, 0.144),
)

_VIEW_STRUCT = """
struct SplatView {
  mat4 clip_from_view;
  mat4 view_from_clip;
  vec4 size_px;   /* width, height; pixels per slope (perspective) or per unit (orthographic) across and up */
  vec4 lens;      /* is perspective; degree of harmonics; hides behind scene depth; dims some splats */
  vec4 slopes;    /* within which slopes are held: least and largest across, least and largest up */
  vec4 style;     /* uses ramp; blends linearly; reach of ellipsoids in sigma; size of points in pixels */
  vec4 layout_;   /* texels per splat; splats per row; objects; places per row of the order */
  vec4 rules;     /* dilation in pixels^2; largest alpha; smallest alpha; near plane in the splats' own units */
  vec4 part_;     /* how many splats each one that is drawn stands for; the rest is not used */
};
"""

# Fetching: which splat, of which object, in which color.
_FETCH = """
struct Splat {
  vec3 mean; float opacity; vec4 rotation; vec3 scales; vec3 base; float spare; int index; float value; bool is_dim;
};

int find_object(int place)
{
  int low = 0;
  int high = int(view.layout_.z) - 1;
  while (low < high) {
    int middle = (low + high + 1) / 2;
    if (int(texelFetch(objects, ivec2(4, middle), 0).x) <= place) { low = middle; } else { high = middle - 1; }
  }
  return low;
}

vec4 texel(int index, int k)
{
  int per_row = int(view.layout_.y);
  return texelFetch(splats, ivec2((index % per_row) * int(view.layout_.x) + k, index / per_row), 0);
}

Splat fetch_splat(int index)
{
  vec4 t0 = texel(index, 0), t2 = texel(index, 2);
  Splat s;
  s.index = index;
  s.mean = t0.xyz;
  s.opacity = t0.w;
  s.rotation = texel(index, 1);
  s.scales = t2.xyz;
  s.spare = t2.w;
  s.base = texel(index, 3).xyz;
  if (view.part_.x > 1.0) { s.opacity = 1.0 - pow(max(1.0 - s.opacity, 0.0), view.part_.x); }
  s.value = 0.0;
  s.is_dim = false;
  if (view.style.x > 0.5 || view.lens.w > 0.5) {
    int per_row = int(view.layout_.y);
    s.value = texelFetch(values, ivec2(index % per_row, index / per_row), 0).x;
    s.is_dim = view.lens.w > 0.5 && s.value > 0.5 * DIMMED;
    if (s.is_dim) { s.value -= DIMMED; s.opacity *= DIMMED_OPACITY; }
  }
  return s;
}

mat3 rotation_of(vec4 q)
{
  float w = q.x, x = q.y, y = q.z, z = q.w;
  return mat3(
      vec3(1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y)),
      vec3(2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x)),
      vec3(2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y)));
}

/* Equation 4: real spherical harmonics, INRIA order and signs, in the direction from the eye to the splat. */
vec3 radiance(Splat s, vec3 d)
{
  int degree = int(view.lens.y);
  float x = d.x, y = d.y, z = d.z;
  vec3 c = 0.28209479177387814 * s.base + 0.5;
  if (degree > 0) {
    vec4 a = texel(s.index, 4), b = texel(s.index, 5), e = texel(s.index, 6);
    c += 0.4886025119029199 * (-y * a.xyz + z * vec3(a.w, b.xy) - x * vec3(b.zw, e.x));
    if (degree > 1) {
      vec4 f = texel(s.index, 7), g = texel(s.index, 8), h = texel(s.index, 9);
      c += 1.0925484305920792 * (x * y * e.yzw - y * z * f.xyz - x * z * vec3(g.zw, h.x));
      c += 0.31539156525252005 * (2.0 * z * z - x * x - y * y) * vec3(f.w, g.xy);
      c += 0.5462742152960396 * (x * x - y * y) * h.yzw;
    }
    if (degree > 2) {
      vec4 i = texel(s.index, 10), j = texel(s.index, 11), k = texel(s.index, 12);
      vec4 l = texel(s.index, 13), m = texel(s.index, 14);
      c -= 0.5900435899266435 * y * (3.0 * x * x - y * y) * i.xyz;
      c += 2.890611442640554 * x * y * z * vec3(i.w, j.xy);
      c -= 0.4570457994644658 * y * (4.0 * z * z - x * x - y * y) * vec3(j.zw, k.x);
      c += 0.3731763325901154 * z * (2.0 * z * z - 3.0 * x * x - 3.0 * y * y) * k.yzw;
      c -= 0.4570457994644658 * x * (4.0 * z * z - x * x - y * y) * l.xyz;
      c += 1.445305721320277 * z * (x * x - y * y) * vec3(l.w, m.xy);
      c -= 0.5900435899266435 * x * (x * x - 3.0 * y * y) * vec3(m.zw, s.spare);
    }
  }
  return max(c, vec3(0.0));
}

vec3 ramp(float value)
{
  if (value < 0.0) { return vec3(0.35); }
  float place = clamp(value, 0.0, 1.0) * 4.0;
  if (place < 1.0) { return mix(RAMP_0, RAMP_1, place); }
  if (place < 2.0) { return mix(RAMP_1, RAMP_2, place - 1.0); }
  if (place < 3.0) { return mix(RAMP_2, RAMP_3, place - 2.0); }
  return mix(RAMP_3, RAMP_4, place - 3.0);
}

vec3 linear_from_display(vec3 c)
{
  return mix(pow((max(c, vec3(0.0)) + 0.055) / 1.055, vec3(2.4)), c / 12.92, vec3(lessThanEqual(c, vec3(0.04045))));
}

/* The splat's color, display-encoded, or linear where splats are blended linearly. */
vec3 color_of(Splat s, int object)
{
  vec4 eye = texelFetch(objects, ivec2(3, object), 0);
  vec3 c;
  if (view.style.x > 0.5) {
    c = ramp(s.value);
  }
  else {
    c = radiance(s, normalize(eye.w > 0.5 ? s.mean - eye.xyz : eye.xyz));
  }
  if (s.is_dim) { c = vec3(0.2 * (c.x + c.y + c.z)); }
  return view.style.y > 0.5 ? linear_from_display(c) : c;
}

int place_of_instance(int instance)
{
  int per_row = int(view.layout_.w);
  return int(texelFetch(order, ivec2(instance % per_row, instance / per_row), 0).x);
}

/* The linear part of a frame. Metal has no mat3(mat4). */
mat3 axes_of(mat4 frame)
{
  return mat3(frame[0].xyz, frame[1].xyz, frame[2].xyz);
}

mat4 view_from_object(int object)
{
  return transpose(mat4(
      texelFetch(objects, ivec2(0, object), 0),
      texelFetch(objects, ivec2(1, object), 0),
      texelFetch(objects, ivec2(2, object), 0),
      vec4(0.0, 0.0, 0.0, 1.0)));
}
"""

_START = """
  int place = place_of_instance(gl_InstanceID);
  int object = find_object(place);
  vec4 starts = texelFetch(objects, ivec2(4, object), 0);
  Splat s = fetch_splat(place - int(starts.x) + int(starts.y));
  mat4 object_frame = view_from_object(object);
  vec3 mean = (object_frame * vec4(s.mean, 1.0)).xyz;
  vec4 clip = view.clip_from_view * vec4(mean, 1.0);
  gl_Position = NOWHERE;
"""

_HIDDEN = """
bool is_hidden(float depth)
{
  if (view.lens.z < 0.5) { return false; }
  float scene = texelFetch(scene_depth, ivec2(gl_FragCoord.xy), 0).x;
  return scene > 0.0 && depth > scene; /* 0: this viewport keeps no depth */
}
"""

_SPLAT_VERTEX = """
void main()
{
  _START_
  vec2 focal_px = view.size_px.zw;
  float depth = -mean.z;
  bool is_perspective = view.lens.x > 0.5;
  bool is_behind = is_perspective && depth < max(view.rules.w * starts.z * length(object_frame[0].xyz), 1e-30);
  if (is_behind || s.opacity < view.rules.z) { return; }

  /* Equation 3: the covariance on the screen, J M (J M)^T with M = frame * R * diag(s), plus the dilation. */
  vec3 across = vec3(focal_px.x, 0.0, 0.0), up = vec3(0.0, focal_px.y, 0.0);
  if (is_perspective) {
    vec2 slope = clamp(mean.xy / depth, view.slopes.xz, view.slopes.yw);
    across = focal_px.x / depth * vec3(1.0, 0.0, slope.x);
    up = focal_px.y / depth * vec3(0.0, 1.0, slope.y);
  }
  mat3 spread = axes_of(object_frame) * rotation_of(s.rotation);
  spread[0] *= s.scales.x;
  spread[1] *= s.scales.y;
  spread[2] *= s.scales.z;
  vec3 p = across * spread, q = up * spread;
  float dilation = view.rules.x;
  float pp = dot(p, p), qq = dot(q, q);
  float a = pp + dilation, b = dot(p, q), c = qq + dilation;
  vec3 normal = cross(p, q);
  float undilated = dot(normal, normal);
  float determinant = undilated + dilation * (pp + qq) + dilation * dilation;
  float half_gap = length(vec2(0.5 * (a - c), b));
  float longer = 0.5 * (a + c) + half_gap;
  float shorter = determinant / longer;
  vec2 axis = a >= c ? vec2(longer - c, b) : vec2(b, longer - a);
  axis = half_gap > 1e-6 * longer ? normalize(axis) : vec2(1.0, 0.0);
  if (!(shorter > 0.0)) { return; }

  float opacity = s.opacity;
  if (starts.w > 0.5) { opacity *= sqrt(max(undilated / determinant, ANTIALIAS_FLOOR)); }
  if (opacity < view.rules.z) { return; }
  float reach = sqrt(2.0 * log(opacity / view.rules.z)); /* sigma, to where alpha falls below the smallest */
  v_sigma = corner * reach;
  v_color = vec4(color_of(s, object), opacity);
  vec2 offset_px = axis * v_sigma.x * sqrt(longer) + vec2(-axis.y, axis.x) * v_sigma.y * sqrt(shorter);
  gl_Position = vec4(clip.xyz / clip.w + vec3(2.0 * offset_px / view.size_px.xy, 0.0), 1.0);
}
"""

_SPLAT_FRAGMENT = """
void main()
{
  float alpha = min(view.rules.y, v_color.a * exp(-0.5 * dot(v_sigma, v_sigma)));
  if (alpha < view.rules.z || is_hidden(gl_FragCoord.z)) { discard; }
  picture = vec4(v_color.rgb * alpha, alpha);
}
"""

_POINT_VERTEX = """
void main()
{
  _START_
  if (view.lens.x > 0.5 && -mean.z <= 1e-30) { return; }
  v_sigma = corner;
  v_color = vec4(color_of(s, object), 1.0);
  gl_Position = vec4(clip.xyz / clip.w + vec3(corner * view.style.w / view.size_px.xy, 0.0), 1.0);
}
"""

_POINT_FRAGMENT = """
void main()
{
  if (dot(v_sigma, v_sigma) > 1.0 || is_hidden(gl_FragCoord.z)) { discard; }
  picture = v_color;
}
"""

# Sigg et al. 2006: the exact box on the screen around an ellipsoid, then one ray per pixel.
_ELLIPSOID_VERTEX = """
void main()
{
  _START_
  vec3 scales = max(s.scales, vec3(1e-3 * max(s.scales.x, max(s.scales.y, s.scales.z)))) * view.style.z;
  mat3 axes = axes_of(object_frame) * rotation_of(s.rotation);
  axes[0] *= scales.x;
  axes[1] *= scales.y;
  axes[2] *= scales.z;
  mat4 rows = transpose(view.clip_from_view * mat4(
      vec4(axes[0], 0.0), vec4(axes[1], 0.0), vec4(axes[2], 0.0), vec4(mean, 1.0)));
  vec4 sphere = vec4(1.0, 1.0, 1.0, -1.0);
  float ww = dot(rows[3] * sphere, rows[3]);
  bool is_behind = view.lens.x > 0.5 && -mean.z <= 1e-30;
  if (is_behind || ww >= 0.0) { return; } /* behind, or around the eye */
  float xw = dot(rows[0] * sphere, rows[3]), yw = dot(rows[1] * sphere, rows[3]);
  float xx = dot(rows[0] * sphere, rows[0]), yy = dot(rows[1] * sphere, rows[1]);
  vec2 middle = vec2(xw, yw) / ww;
  vec2 radius = sqrt(max(middle * middle - vec2(xx, yy) / ww, vec2(0.0))) + 1.0 / view.size_px.xy;
  mat3 inward = inverse(axes);
  v_inward_x = inward[0];
  v_inward_y = inward[1];
  v_inward_z = inward[2];
  v_mean = mean;
  v_color = vec4(color_of(s, object), 1.0);
  gl_Position = vec4(middle + corner * radius, clamp(clip.z / clip.w, -1.0, 1.0), 1.0);
}
"""

_ELLIPSOID_FRAGMENT = """
void main()
{
  vec2 place = gl_FragCoord.xy / view.size_px.xy * 2.0 - 1.0;
  vec4 far = view.view_from_clip * vec4(place, 1.0, 1.0);
  vec4 near = view.view_from_clip * vec4(place, -1.0, 1.0);
  vec3 eye = view.lens.x > 0.5 ? vec3(0.0) : near.xyz / near.w;
  vec3 ray = normalize(far.xyz / far.w - eye);
  mat3 inward = mat3(v_inward_x, v_inward_y, v_inward_z);
  vec3 start = inward * (eye - v_mean), along = inward * ray;
  float aa = dot(along, along), ab = dot(along, start);
  vec3 nearest = start - along * (ab / aa); /* where the ray passes the center: no cancellation from afar */
  float rest = 1.0 - dot(nearest, nearest);
  if (rest < 0.0) { discard; }
  float distance_ = -ab / aa - sqrt(rest / aa);
  if (view.lens.x > 0.5 && distance_ <= 0.0) { discard; }
  vec4 hit = view.clip_from_view * vec4(eye + distance_ * ray, 1.0);
  float depth = clamp(hit.z / hit.w * 0.5 + 0.5, 0.0, 1.0);
  if (is_hidden(depth)) { discard; }
  gl_FragDepth = depth;
  vec3 normal = normalize((nearest - along * sqrt(rest / aa)) * inward);
  picture = vec4(v_color.rgb * (0.4 + 0.6 * max(-dot(normal, ray), 0.0)), 1.0);
}
"""


def make_shader(kind: str) -> gpu.types.GPUShader:
    """The shader that draws SPLATS, POINTS or ELLIPSOIDS into the picture. Needs a GPU context."""
    vertex, fragment = {
        "SPLATS": (_SPLAT_VERTEX, _SPLAT_FRAGMENT),
        "POINTS": (_POINT_VERTEX, _POINT_FRAGMENT),
        "ELLIPSOIDS": (_ELLIPSOID_VERTEX, _ELLIPSOID_FRAGMENT),
    }[kind]
    info = _types.GPUShaderCreateInfo()
    info.typedef_source(_VIEW_STRUCT)
    info.uniform_buf(0, "SplatView", "view")
    for slot, name in enumerate(("splats", "objects", "order", "values", "scene_depth")):
        info.sampler(slot, "FLOAT_2D", name)
    for index, color in enumerate(RAMP):
        info.define(f"RAMP_{index}", f"vec3({color[0]}, {color[1]}, {color[2]})")
    info.define("DIMMED", f"{DIMMED:.1f}")
    info.define("DIMMED_OPACITY", f"{DIMMED_OPACITY}")
    info.define("ANTIALIAS_FLOOR", f"{ANTIALIAS_FLOOR:.8f}")
    info.define("NOWHERE", "vec4(2.0, 2.0, 2.0, 1.0)")  # outside of what is drawn
    info.vertex_in(0, "VEC2", "corner")
    varying = _types.GPUStageInterfaceInfo("splat_" + kind.lower())
    varying.flat("VEC4", "v_color")
    if kind == "ELLIPSOIDS":
        for name in ("v_inward_x", "v_inward_y", "v_inward_z", "v_mean"):
            varying.flat("VEC3", name)
        if hasattr(info, "depth_write"):  # 4.2 has no such choice; only Metal then refuses to write depth
            info.depth_write("ANY")
        elif gpu.platform.backend_type_get() == "METAL":
            fragment = fragment.replace("gl_FragDepth = depth;", "")  # ellipsoids cut each other as discs
    else:
        varying.smooth("VEC2", "v_sigma")
    info.vertex_out(varying)
    info.fragment_out(0, "VEC4", "picture")
    info.vertex_source(_FETCH + vertex.replace("_START_", _START))
    info.fragment_source(_HIDDEN + fragment)
    return _make(info)
