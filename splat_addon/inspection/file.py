"""The file in which an inspection lies beside the splats, and how it is told which splats it is about."""

import hashlib
import json
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import SplatFileError
from ..gaussians.cloud import GaussianCloud
from .evidence import COLUMNS, Evidence
from .score import Findings

VERSION = 5  # of the file; columns mean something else in another, or scores do
REMEDY = "Inspect the splats again."
BACKENDS = ("cpu", "")  # whose kernels measure evidence; empty: none, positions alone were judged
SIGNS = tuple(spec.name for spec in fields(Findings))


@dataclass(frozen=True)
class Inspection:
    """What an inspection leaves in its file. `key` names the splats that it is about, `places` their positions alone.

    Without evidence (no photos) the findings are what positions alone can say.
    """

    key: str
    places: str
    findings: Findings
    evidence: Evidence | None
    capture: str = ""  # the folder, and its fingerprint when it was read
    capture_fingerprint: str = ""
    backend: str = ""
    blend_space: str = ""
    off_mesh: np.ndarray | None = None  # (N,) 0..1 of each splat's mass, where the meshes of the scene were known

    def require_for(self, cloud: GaussianCloud) -> None:
        """Raise SplatFileError unless this is about exactly the splats of `cloud`."""
        if self.key != key_of(cloud):
            raise SplatFileError("The inspection was made of other splats than these.", REMEDY)


def key_of(cloud: GaussianCloud) -> str:
    """A text that only these splats have, in this order: all parameters but the blend space, in 32 bits."""
    digest = hashlib.sha256()
    for array in (cloud.means, cloud.log_scales, cloud.quaternions, cloud.logit_opacities, cloud.sh):
        digest.update(np.ascontiguousarray(array, "<f4").view(np.uint8).data)
    return f"{len(cloud)}:{digest.hexdigest()[:32]}"


def places_of(means: np.ndarray) -> str:
    """A text that only splats at these places (N, 3) have, in this order."""
    digest = hashlib.sha256(np.ascontiguousarray(means, "<f4").view(np.uint8).data)
    return f"{len(means)}:{digest.hexdigest()[:32]}"


def arrays_of(inspection: Inspection) -> dict[str, Any]:
    """What `np.savez` is to write."""
    about = {
        name: getattr(inspection, name)
        for name in ("key", "places", "capture", "capture_fingerprint", "backend", "blend_space")
    }
    arrays = {name: getattr(inspection.findings, name) for name in SIGNS}
    evidence = inspection.evidence
    if evidence is not None:
        about |= {"reach": evidence.reach, "views": list(evidence.view_names)}
        arrays |= {name: getattr(evidence, name) for name in COLUMNS}
        arrays["view_positions"] = np.asarray(evidence.view_positions, np.float64).reshape(-1, 3)
    if inspection.off_mesh is not None:
        arrays["off_mesh"] = inspection.off_mesh
    about["version"] = VERSION
    return {"about": np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays}


def read_inspection(path: Path) -> Inspection:
    """Read what was written with `arrays_of`. Raises SplatFileError when it cannot be, or is of another version or
    backend."""
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(bytes(file["about"]))
            if about["version"] != VERSION:
                raise SplatFileError(f"{path.name} is the inspection of another version.", REMEDY)
            if about["backend"] not in BACKENDS:
                other = f"{path.name} is the inspection of another backend ('{about['backend']}')"
                raise SplatFileError(f"{other}, whose evidence cannot be compared.", REMEDY)
            findings, evidence = Findings(**{name: file[name] for name in SIGNS}), None
            count = int(about["key"].partition(":")[0])
            if "views" in about:
                columns = {name: file[name] for name in COLUMNS}
                evidence = Evidence(
                    **columns,
                    reach=float(about["reach"]),
                    view_names=tuple(map(str, about["views"])),
                    view_positions=file["view_positions"],
                )
                if any(array.shape != (count,) for array in columns.values()):
                    raise ValueError("its columns are of different lengths")
            if any(getattr(findings, name).shape != (count,) for name in SIGNS):
                raise ValueError("its scores are not those of its splats")
            if not np.isfinite(findings.score).all():
                raise ValueError("its scores are not numbers")
            off_mesh = file.get("off_mesh")
            if off_mesh is not None and off_mesh.shape != (count,):
                raise ValueError("its column off_mesh is of another length")
            texts = {name: str(about[name]) for name in ("capture", "capture_fingerprint", "backend", "blend_space")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise SplatFileError(f"{path.name} is not an inspection that can be read ({error}).", REMEDY) from error
    return Inspection(str(about["key"]), str(about["places"]), findings, evidence, **texts, off_mesh=off_mesh)
