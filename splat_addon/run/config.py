"""What a training run is asked to do: one flat, documented, frozen record, saved with every run."""

import json
from dataclasses import Field, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ..errors import RunError
from ..files import written_aside


def _setting(
    default, doc: str, *, unit: str = "", low=None, high=None, choices=(), group: str = "", is_folder: bool = False
) -> Any:
    """A documented field. `low` and `high` bound numbers (inclusive); `choices` are the texts that are allowed; `group`
    is the heading under which the interface folds it away, empty for the few that everybody sees. Other texts are
    paths, of a folder where `is_folder`."""
    bounds = {"unit": unit, "low": low, "high": high, "choices": choices}
    return field(default=default, metadata={"doc": doc, **bounds, "group": group, "is_folder": is_folder})


READING = "Photographs"  # the heading of what decides how a capture is read


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a run. Schedules are fractions of `iterations`, so that a short run is complete."""

    capture: str = _setting("", "Folder of the capture to train on")
    iterations: int = _setting(7000, "Number of training steps; 30 000 is the usual full run", low=1, high=10_000_000)
    max_gaussians: int = _setting(1_000_000, "Never more splats than this", low=1, high=100_000_000)
    seconds: int = _setting(
        0, "Train for this long instead of a number of steps; all schedules follow; 0 = off", unit="s", low=0,
        high=10_000_000,
    )  # fmt: skip
    strategy: str = _setting(
        "budget",
        "How splats are added and removed while training; fixed = they are not",
        choices=("budget", "default", "mcmc", "fixed"),
    )
    sh_degree: int = _setting(
        3, "How finely color may depend on the view: degree of the harmonics", low=0, high=3, group="Quality"
    )
    max_resolution: int = _setting(
        1600, "Photos with a longer side are scaled down to it", unit="px", low=8, high=65536
    )
    hold_out_every: int = _setting(
        8, "Every n-th view measures quality instead of training; 0 = none", low=0, high=10_000, group="Data"
    )
    device: str = _setting(
        "auto",
        "What trains: auto = an NVIDIA card that has passed its self-check, else the CPU",
        choices=("auto", "cpu", "cuda"),
        group="Run",
    )
    seed: int = _setting(42, "Seed of all random numbers", low=0, high=2**31 - 1, group="Run")

    eval_every: int = _setting(
        1000, "Steps between two measurements on the held-out views, fewer in short runs; 0 = only at the end", low=0,
        high=10_000_000, group="Run",
    )  # fmt: skip
    photo_memory_mb: int = _setting(
        4096, "Decoded photos beyond this are kept on disk while the run lasts", unit="MB", low=0, high=10_000_000,
        group="Data",
    )  # fmt: skip
    save_every: int = _setting(
        5000, "Steps between two checkpoints and snapshots; 0 = only at the end", low=0, high=10_000_000, group="Run"
    )
    ssim_lambda: float = _setting(
        0.2, "Weight of structure (1 - SSIM) relative to plain difference (L1) in the loss", low=0.0, high=1.0,
        group="Quality",
    )  # fmt: skip
    blend_space: str = _setting(
        "auto", "Blend colors as Blender does (linear light) or as displayed, as other splat programs do; auto ="
        " Blender for captures of a scene", choices=("auto", "blender", "display"), group="Quality",
    )  # fmt: skip
    antialiased: str = _setting(
        "auto", "Let opacities make up for the 0.3 px² that are added to each splat (Mip-Splatting), for views from"
        " afar; auto = as the splats to start from, else off", choices=("auto", "on", "off"), group="Quality",
    )  # fmt: skip
    random_background: bool = _setting(
        True, "Train photos with transparency over random colors, so that nothing grows behind it", group="Data"
    )
    init_splats: str = _setting("", "PLY of splats to start from, instead of the capture's points", group="Data")
    cleared_splats: str = _setting(
        "", "Budget, Fixed: PLY of splats that were deleted from Init Splats; none are added where they were",
        group="Data",
    )  # fmt: skip
    empty_volume: str = _setting(
        "", "Budget, Fixed: OBJ of a closed mesh in which no splats may be, in the capture's coordinates", group="Data"
    )
    trained_volume: str = _setting(
        "", "Budget, Fixed: OBJ of a closed mesh; splats outside of it stay as they are", group="Data"
    )
    seeds: str = _setting(
        "points", "Start from the capture's points, or at random where the cameras look (also without points)",
        choices=("points", "random"), group="Data",
    )  # fmt: skip
    sky_seeds: str = _setting(
        "auto", "Also start from a distant shell around everything, for open scenes; auto = where photos show a sky",
        choices=("auto", "on", "off"), group="Data",
    )  # fmt: skip
    seed_opacity: float = _setting(
        0.1, "Opacity of points before training; surfaces have 0.5", low=0.01, high=0.99, group="Data"
    )
    seed_count: int = _setting(
        0, "At most this many seeds become gaussians; 0 = all points, or 30 000 at random", low=0, high=100_000_000,
        group="Data",
    )  # fmt: skip
    means_rate: float = _setting(
        3e-4,
        "Learning rate of positions, times the scene's extent; decays to 1 %",
        low=0.0,
        high=1.0,
        group="Learning Rates",
    )
    scales_rate: float = _setting(6e-3, "Learning rate of log sizes", low=0.0, high=1.0, group="Learning Rates")
    quaternions_rate: float = _setting(2e-3, "Learning rate of rotations", low=0.0, high=1.0, group="Learning Rates")
    opacities_rate: float = _setting(
        5e-2, "Learning rate of opacities before the sigmoid", low=0.0, high=1.0, group="Learning Rates"
    )
    sh_base_rate: float = _setting(8e-3, "Learning rate of the base color", low=0.0, high=1.0, group="Learning Rates")
    sh_rest_rate: float = _setting(
        1.6e-3, "Learning rate of the view-dependent color", low=0.0, high=1.0, group="Learning Rates"
    )
    warm_up: float = _setting(
        0.0, "Fraction of the run, from the start, over which learning rates rise from 0; for finished splats", low=0.0,
        high=1.0, group="Learning Rates",
    )  # fmt: skip
    sh_full_at: float = _setting(
        0.4, "Fraction of the run after which all degrees of color are trained", low=0.0, high=1.0, group="Quality"
    )
    target_gaussians: int = _setting(
        0, "Budget, MCMC: how many splats to end with; 0 = what the photos can determine", low=0, high=100_000_000,
        group="Growth",
    )  # fmt: skip
    grow_gradient: float = _setting(
        2e-4, "Default: a splat is cloned or split above this screen-space gradient (half-image units)", low=0.0,
        high=1.0, group="Growth",
    )  # fmt: skip
    reset_opacities: bool = _setting(
        False, "Default: lower all opacities every tenth of the run, so that floaters fade", group="Growth"
    )
    coarse_until: float = _setting(
        0.15,
        "Fraction of the run, from the start, that is trained at half resolution",
        low=0.0,
        high=1.0,
        group="Quality",
    )
    few_views: int = _setting(
        24, "Regularize captures with at most this many training views", low=0, high=100_000, group="Few Views"
    )
    regularization: float = _setting(
        0.0,
        "With few views: weight of mean opacity and size in the loss; it makes veils, and rarely helps",
        low=0.0,
        high=10.0,
        group="Few Views",
    )
    dropout: float = _setting(
        0.2,
        "With few views: fraction of the splats left out at random, increasing late in the run",
        low=0.0,
        high=0.9,
        group="Few Views",
    )
    prune_opacity: float = _setting(0.005, "Splats fainter than this are removed", low=0.0, high=1.0, group="Growth")
    orientation: str = _setting(
        "auto", "Which way photos with an Exif orientation lie: auto = as they fit their cameras; stored = as the file"
        " has them; turned = as viewers show them", choices=("auto", "stored", "turned"), group=READING,
    )  # fmt: skip
    photos_folder: str = _setting("", "Folder of the photos; empty = found", group=READING, is_folder=True)
    model_folder: str = _setting(
        "", "Folder of the COLMAP model, if there are several; empty = the one with most images", group=READING,
        is_folder=True,
    )  # fmt: skip
    points_frame: str = _setting(
        "auto", "Where the points stand: auto = as the cameras tell; cameras = where the cameras are; original = where"
        " these were before applied_transform", choices=("auto", "cameras", "original"), group=READING,
    )  # fmt: skip
    masks: str = _setting(
        "auto", "Auto: white counts, unless a program means the reverse; inverted: the reverse; ignored: none is used",
        choices=("auto", "inverted", "ignored"), group=READING,
    )  # fmt: skip

    def check(self) -> None:
        """Raise RunError, naming the setting as the interface does, when a value is outside what makes sense."""
        for spec in fields(self):
            value, low, high = getattr(self, spec.name), spec.metadata["low"], spec.metadata["high"]
            choices = spec.metadata["choices"]
            if choices and value not in choices:
                raise RunError(f"{label(spec)} is '{value}'.", f"Choose one of {', '.join(choices)}.")
            if low is not None and not low <= value <= high:
                raise RunError(f"{label(spec)} is {value}.", f"Choose a value from {low} to {high}.")

    def moved_to(self, capture: Path) -> "TrainConfig":
        """The same settings for a capture that lies elsewhere now, and with it the folders that were chosen in it."""
        inside: dict[str, Any] = {}
        for spec in fields(self):
            place = Path(getattr(self, spec.name)) if spec.metadata["is_folder"] else Path()
            if place != Path() and place.is_relative_to(self.capture):
                inside[spec.name] = str(capture / place.relative_to(self.capture))
        return replace(self, capture=str(capture), **inside)

    def write(self, path: Path) -> None:
        """Save as JSON."""
        with written_aside(path) as aside:
            aside.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @staticmethod
    def read(path: Path) -> "TrainConfig":
        """Read what `write` saved. Unknown settings (of a newer version) are ignored, missing ones take the default."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            config = TrainConfig()
            for spec in fields(TrainConfig):
                if spec.name in values:
                    value = values[spec.name]
                    if isinstance(value, bool) and spec.metadata["choices"]:  # a switch, in earlier versions
                        value = "on" if value else "off"
                    config = replace(config, **{spec.name: type(getattr(config, spec.name))(value)})
        except (OSError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise RunError(f"{path} holds no training settings ({error}).", "Start a new run.") from error
        config.check()
        return config


PRESETS: dict[str, dict[str, Any]] = {
    "preview": {"iterations": 1500, "max_resolution": 800},
    "balanced": {"iterations": 7000, "max_resolution": 1600},
    "quality": {"iterations": 30_000, "max_resolution": 1920},
}
EARLY_PARTS = 8  # of a run: it is measured after each, too, where measuring costs little of its time
CUSTOM = "custom"  # settings that are no preset's


def with_preset(config: TrainConfig, name: str) -> TrainConfig:
    """`config` with the settings of the preset `name`; all others stay. Raises RunError when there is none."""
    if name not in PRESETS:
        raise RunError(f"There is no preset '{name}'.", f"Choose one of {', '.join(PRESETS)}.")
    return replace(config, **PRESETS[name])


def preset_of(config: TrainConfig) -> str:
    """The name of the preset whose settings `config` has, else "custom"."""
    return next((name for name in PRESETS if with_preset(config, name) == config), CUSTOM)


def label(spec: Field) -> str:
    """The name of a setting as the interface shows it."""
    special = {"max_gaussians": "Max Splats", "ssim_lambda": "SSIM Weight"}
    words = (word.upper() if word in ("sh", "mb") else word.title() for word in spec.name.split("_"))
    return special.get(spec.name, " ".join(words))


# Training on from finished splats: a short schedule that closes holes and does not shake what is good.
STEPS_ON = 250  # what the holes need; more trains the rest
_PARTS_OF_RATES = 0.1, 0.1  # of the default learning rates, of positions and of all else: what shakes nothing
_PARTS_FOR_HOLES = 0.5, 0.6  # the same where something is to grow
_WARM_UP = 0.2
_MEASURED = 5  # times until the end


def train_on(config: TrainConfig, splats: str, target: int = 0, steps: int = STEPS_ON) -> TrainConfig:
    """The settings of a run that goes on from `splats`, a file; `config` is that of the run before, of which learning
    rates do not count: it may have gone on from another.

    It grows to `target` splats, as many as there were before some were deleted; 0: their number stays.
    """
    usual = TrainConfig()
    means, others = _PARTS_FOR_HOLES if target else _PARTS_OF_RATES
    return replace(
        config,
        init_splats=splats,
        cleared_splats="",
        empty_volume="",
        trained_volume="",
        iterations=steps,
        seconds=0,
        strategy="budget" if target else "fixed",
        target_gaussians=target,
        max_gaussians=max(target, config.max_gaussians),
        coarse_until=0.0,
        sh_full_at=0.0,
        dropout=0.0,
        regularization=0.0,
        warm_up=_WARM_UP,
        means_rate=means * usual.means_rate,
        scales_rate=others * usual.scales_rate,
        quaternions_rate=others * usual.quaternions_rate,
        opacities_rate=others * usual.opacities_rate,
        sh_base_rate=others * usual.sh_base_rate,
        sh_rest_rate=others * usual.sh_rest_rate,
        eval_every=max(1, steps // _MEASURED),
        save_every=0,
    )
