"""What other people's Python packages make of a splat file, as arrays: `python foreign.py READER FILE OUT.npz`, and
`python foreign.py usd-write IN.npz FILE`. Runs in the oracles' own environment."""

import sys

import numpy as np


def gsply(path):
    import gsply

    data = gsply.read_spz(path)
    count = len(data.means)
    higher = np.asarray(data.shN).reshape(count, -1, 3)
    sh = np.concatenate([np.asarray(data.sh0).reshape(count, 1, 3), higher], axis=1)
    opacities = np.nan_to_num(np.asarray(data.opacities).reshape(-1), posinf=20, neginf=-20)
    return data.means, data.scales, data.quats, opacities, sh


def gltf(path):
    import pygltflib

    document = pygltflib.GLTF2().load_binary(path)
    blob, primitive = document.binary_blob(), document.meshes[0].primitives[0]
    assert primitive.mode == 0 and "KHR_gaussian_splatting" in primitive.extensions
    names = {name: number for name, number in vars(primitive.attributes).items() if number is not None}

    def get(name):
        accessor = document.accessors[names[name]]
        view = document.bufferViews[accessor.bufferView]
        width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[accessor.type]
        start = (view.byteOffset or 0) + (accessor.byteOffset or 0)
        return np.frombuffer(blob, "<f4", accessor.count * width, start).reshape(accessor.count, width)

    prefix = "KHR_gaussian_splatting:"
    sh = [get(f"{prefix}SH_DEGREE_{d}_COEF_{k}") for d in range(4) for k in range(2 * d + 1)]
    opacities, turn = logits(get(prefix + "OPACITY")[:, 0]), get(prefix + "ROTATION")
    assert np.allclose(np.linalg.norm(turn, axis=1), 1, atol=1e-5)
    scales = np.log(get(prefix + "SCALE"))
    return get("POSITION"), scales, turn[:, [3, 0, 1, 2]], opacities, np.stack(sh, axis=1)


def usd(path):
    from pxr import Usd

    stage = Usd.Stage.Open(path)
    prim = next(each for each in stage.Traverse() if each.GetTypeName() == "ParticleField3DGaussianSplat")
    means = np.array(prim.GetAttribute("positions").Get())
    degree = prim.GetAttribute("radiance:sphericalHarmonicsDegree").Get()
    sh = np.array(prim.GetAttribute("radiance:sphericalHarmonicsCoefficients").Get()).reshape(len(means), -1, 3)
    assert sh.shape[1] == (degree + 1) ** 2
    turns = [[q.GetReal(), *q.GetImaginary()] for q in prim.GetAttribute("orientations").Get()]
    scales = np.log(np.array(prim.GetAttribute("scales").Get()))
    return means, scales, np.array(turns), logits(np.array(prim.GetAttribute("opacities").Get())), sh


def usd_write(source, target):
    from pxr import Gf, Usd, UsdGeom, UsdVol, Vt

    means, scales, turns, opacities, sh = np.load(source).values()
    stage = Usd.Stage.CreateNew(target)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    prim = UsdVol.ParticleField3DGaussianSplat.Define(stage, "/Splats")
    prim.CreatePositionsAttr(Vt.Vec3fArray.FromNumpy(means.astype(np.float32)))
    prim.CreateScalesAttr(Vt.Vec3fArray.FromNumpy(np.exp(scales).astype(np.float32)))
    turns = turns / np.linalg.norm(turns, axis=1, keepdims=True)
    prim.CreateOrientationsAttr(Vt.QuatfArray([Gf.Quatf(*map(float, q)) for q in turns]))
    prim.CreateOpacitiesAttr(Vt.FloatArray.FromNumpy((1 / (1 + np.exp(-opacities))).astype(np.float32)))
    prim.CreateRadianceSphericalHarmonicsDegreeAttr(3)
    numbers = np.ascontiguousarray(sh.reshape(-1, 3), np.float32)
    prim.CreateRadianceSphericalHarmonicsCoefficientsAttr(Vt.Vec3fArray.FromNumpy(numbers))
    stage.Save()


def logits(opacities):
    inside = np.clip(opacities.astype(np.float64), 1e-6, 1 - 1e-6)
    return np.log(inside / (1 - inside))


if __name__ == "__main__":
    if sys.argv[1] == "usd-write":
        usd_write(*sys.argv[2:])
    else:
        np.savez(sys.argv[3], *globals()[sys.argv[1]](sys.argv[2]))
