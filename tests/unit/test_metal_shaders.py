"""The shaders keep to what Blender's Metal backend translates: nobody sees them compile on a Mac here.

On macOS, Blender turns GLSL into Metal's language by replacing words: a header of macros, functions and types
(`mtl_shader_defines.msl`), and a rewriting of some constructors (`replace_matrix_constructors` in 4.2,
`matrix_constructor_mutation` in 5.x). The rest reaches Apple's compiler, which reads C++14, as it is written.
"""

import ast
import re

import pytest

from support.source_tree import SOURCES, assert_none

_GLSL = re.compile(r"\b(?:void main\(|vec[234]\b|gl_[A-Z])")

# What must not be in GLSL, and why.
REFUSED = {
    r"\bgl_PointSize\b": "points need a size from every shader on Metal, and only a quad has one everywhere",
    r"\bgl_(?:Layer|ViewportIndex|PrimitiveID|FragStencilRef)\w*": "needs a declaration that Python cannot make",
    r"\b[iu]?sampler(?:1D\w*|Buffer|2DRect|2DMS|\w*Shadow)\b": "1D textures have no levels, the others no such type",
    r"\bstruct\b[^}]*\b[iu]?sampler\w+": "a sampler is a pair of references there, which a struct cannot hold",
    r"\b[iu]?sampler\w+\s+\w+\s*\[": "there are no arrays of samplers",
    r"\b(?:double|dvec[234]|dmat[234])\b": "there are no 64-bit floats",
    r"\bmat[234]x[234]\s*\(": "only mat2, mat3 and mat4 have constructors that are rewritten in every version",
    r"\b(?:inout|out)\s+\w+\s+\w+\s*\[": "arrays as results are rewritten in some versions only",
    r"\b\w+\s*\[\s*\d*\s*\]\s*\(": "array constructors are rewritten in some versions only",
    r"^\s*const\b[^;{}()]*\[": "global constant arrays are laid out once for every pixel",
    r"\b(?:EmitVertex|EndPrimitive)\b": "there is no geometry stage",
    r"\bimage(?:Load|Store|Atomic\w+)\b|\bshared\b": "needs images or compute, which old Macs lack",
    r"^\s*#\s*(?:version|extension)\b": "the source is put behind a header of its own",
    r"^\s*(?:layout|uniform|varying|attribute)\b": "resources are declared through the create info alone",
    r"\.(?:s|t|p|q|st|stp|stpq)\b": "only xyzw and rgba are names of components",
}

# Names that mean something else there: C++14's and Metal's words, and the macros of Blender's header.
CPP = (
    "alignas alignof and and_eq asm auto bitand bitor catch char char16_t char32_t class compl const_cast constexpr "
    "decltype delete dynamic_cast enum explicit export extern friend goto inline long mutable namespace new noexcept "
    "not not_eq nullptr operator or or_eq private protected public register reinterpret_cast short signed sizeof "
    "static static_assert static_cast template this thread_local throw try typedef typeid typename union unsigned "
    "using virtual volatile wchar_t xor xor_eq"
)
METAL = (
    "access array as_type atomic bfloat bias constant depth2d device fragment half kernel level matrix metal "
    "packed_float2 packed_float3 packed_float4 ptrdiff_t sampler simd size_t texture2d texture3d thread threadgroup "
    "threadgroup_imageblock uchar ulong ushort vec vertex visible float2 float3 float4 int2 int3 int4 uint2 uint3 uint4"
)
BLENDER = (
    "DFDX_SIGN MAT2 MAT3 MAT4 MTLBOOL OUT SStruct TEXURE_MACRO TG THD depth2D is_zero mat4_to_mat3 select st texture2 "
    "texture3 to_float4 gpu_BaseInstance gpu_InstanceIndex"
)
GLSL_RESERVED = "active cast common external filter fixed hvec2 input interface noinline output packed partition sample"
TAKEN = set(f"{CPP} {METAL} {BLENDER} {GLSL_RESERVED}".split())

# Texture formats that Metal has not, or not on every Mac.
NO_FORMATS = re.compile(r"(?:RGB(?:8|16|32)|SRGB8)(?:F|I|UI)?|DEPTH(?:24_STENCIL8|_COMPONENT(?:16|24))|[A-Z]+_DXT\d")


def glsl_of(path) -> list[tuple[int, str]]:
    """Every piece of GLSL in a module, with its line, and its comments replaced by spaces."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and is_glsl(node.value):
            blank = lambda match: re.sub(r"[^\n]", " ", match.group())  # noqa: E731
            found.append((node.lineno, re.sub(r"/\*.*?\*/|//[^\n]*", blank, node.value, flags=re.DOTALL)))
    return found


def is_glsl(text: str) -> bool:
    """A shader or a part of one, and not a sentence about it or a value in one line."""
    return "\n" in text and ";" in text and bool(_GLSL.search(text))


SHADERS = [(path, line, glsl) for path in SOURCES for line, glsl in glsl_of(path)]


def arguments_of(text: str, start: int) -> list[str]:
    """The arguments behind an opening parenthesis at `start`."""
    depth, arguments = 0, [""]
    for letter in text[start:]:
        depth += (letter in "([") - (letter in ")]")
        if depth == 0:
            break
        if letter == "," and depth == 1:
            arguments.append("")
        elif depth > 1 or letter != "(":
            arguments[-1] += letter
    return arguments


def offenses(glsl: str) -> list[str]:
    """What Metal would not take of a piece of GLSL, each with its reason."""
    found = []
    for pattern, reason in REFUSED.items():
        for match in re.finditer(pattern, glsl, re.MULTILINE):
            found.append(f"{match.group().strip()!r}: {reason}")
    for match in re.finditer(r"\bmat([234])\s*\(", glsl):
        if len(arguments_of(glsl, match.end() - 1)) == 1:
            found.append(f"{match.group()!r} of one value: Metal has no matrix from a matrix of another size")
    found += [f"{word!r} is a word of C++, of Metal or of Blender's macros" for word in words_of(glsl) & TAKEN]
    return found


def words_of(glsl: str) -> set[str]:
    """Names in GLSL that are not components of a value."""
    return set(re.findall(r"(?<![\w.])[A-Za-z_]\w*", glsl))


def test_the_shaders_are_found():
    rooms = {path.parent.name for path, _, _ in SHADERS}
    assert rooms == {"viewport", "review"}
    assert sum(glsl.count("void main()") for _, _, glsl in SHADERS) == 10


def test_every_shader_keeps_to_what_metal_takes():
    offenders = [f"{path.name}:{line}: {offense}" for path, line, glsl in SHADERS for offense in offenses(glsl)]
    assert_none(offenders, "Blender's Metal backend does not translate:")


@pytest.mark.parametrize(
    ("glsl", "offense"),
    [
        ("mat3 spread = mat3(object_frame) * r;", "mat3("),
        ("mat4 wide = mat4(mat3(a, b, c));", "mat4("),
        ("gl_PointSize = 3.0;", "gl_PointSize"),
        ("vec4 c = texelFetch(ramp[0], 1, 0); uniform\n", None),
        ("float half = 0.5;", "half"),
        ("vec3 mean(sampler1D image)", "sampler1D"),
        ("struct Pair { sampler2D a; };", "sampler2D"),
        ("const float weights[3] = float[3](1.0, 2.0, 3.0);", "const float weights["),
        ("float select = v.st.x;", "select"),
    ],
)
def test_the_list_finds_what_it_names(glsl, offense):
    found = offenses(glsl)
    assert any(offense in line for line in found) if offense else not found


def test_depth_is_written_only_where_it_is_declared():
    """Metal refuses to write `gl_FragDepth` without the create info's `depth_write`, which 4.2's Python lacks."""
    for path in {path for path, _, glsl in SHADERS if "gl_FragDepth" in glsl}:
        source = path.read_text(encoding="utf-8")
        assert 'info.depth_write("ANY")' in source
        assert re.search(r'"METAL":\s+fragment = fragment\.replace\("gl_FragDepth = depth;", ""\)', source)


def calls(names: set[str]):
    """(module, call) for every call of a method or function with such a name."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in names:
                yield path, node


def texts_in(call: ast.Call) -> list[str]:
    return [node.value for node in ast.walk(call) if isinstance(node, ast.Constant) and isinstance(node.value, str)]


# What a create info may declare. VEC3 is left out of the constants: backends align it in two ways.
DECLARED = {"sampler": {"FLOAT_2D"}, "push_constant": {"FLOAT", "VEC2", "VEC4"}}


def test_shaders_declare_what_metal_has():
    offenders, found = [], 0
    for path, call in calls({*DECLARED, "geometry_source", "compute_source", "image", "tessellation_source"}):
        if ast.unparse(call.func).startswith("info."):
            found += 1
            if not set(texts_in(call)) & DECLARED.get(call.func.attr, set()):
                offenders.append(f"{path.name}:{call.lineno}: {ast.unparse(call)}")
    assert found >= 10
    assert_none(offenders, "Blender's Metal backend has not, or lays out differently:")


def test_uniform_blocks_hold_rows_of_four():
    """std140 and Metal agree about vec4 and mat4, and about nothing smaller."""
    blocks = [match for _, _, glsl in SHADERS for match in re.findall(r"struct (\w+View) \{(.*?)\}", glsl, re.DOTALL)]
    assert [name for name, _ in blocks] == ["SplatView"]
    for _, body in blocks:
        assert {line.split()[0] for line in body.split(";") if line.strip()} <= {"vec4", "mat4"}


def test_texture_formats_are_those_of_every_mac():
    offenders = []
    for path, call in calls({"GPUTexture", "make_texture"}):
        offenders += [f"{path.name}:{call.lineno}: {text}" for text in texts_in(call) if NO_FORMATS.fullmatch(text)]
    assert_none(offenders, "Metal has no texture of this format on every Mac:")
