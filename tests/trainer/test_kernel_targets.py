"""The CPU kernels as other systems compile them: what they call, and what the backend's own tests say of them.

Emitting and loading are real; the systems are not here. See `support/kernel_targets.py` for what that leaves open, and
`python3 dev.py test --arm` for the ARM kernels under emulation.
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from dev import child_environment
from splat_addon.trainer.backend.cpu.compile_kernels import packed
from splat_addon.trainer.backend.cpu.object_symbols import outside_symbols, symbols
from support.foreign_kernels import JUDGES, KERNELS_VARIABLE
from support.kernel_targets import TARGETS, compiled_for, texts_of
from support.source_tree import ROOT

FOREIGN = [name for name in TARGETS if name != "linux-avx2"]
X86 = [name for name in FOREIGN if not name.endswith("-arm")]


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """What numba gives LLVM, by width of vectors; compiled once for each width, both at the same time."""
    files = {lanes: tmp_path_factory.mktemp("texts") / f"{lanes}.json" for lanes in (8, 16)}
    workers = [texts_of(lanes, file) for lanes, file in files.items()]
    assert [worker.wait() for worker in workers] == [0, 0]
    return {lanes: json.loads(file.read_text(encoding="utf-8")) for lanes, file in files.items()}


@pytest.fixture(scope="module")
def compiled(texts):
    """The kernels of each target."""
    return {name: compiled_for(target, texts[target.lanes]) for name, target in TARGETS.items()}


@pytest.mark.parametrize("name", TARGETS)
def test_kernels_call_nothing_that_their_system_lacks(compiled, name):
    called = {symbol for entry in compiled[name] for symbol in outside_symbols(entry["code"])}
    assert called == TARGETS[name].outside


@pytest.mark.parametrize("name", TARGETS)
def test_no_definition_can_be_replaced_by_another_objects(compiled, name):
    """A weak one is what a loader may leave at address 0."""
    for entry in compiled[name]:
        assert [symbol.name for symbol in symbols(entry["code"]) if symbol.is_weak] == []


@pytest.mark.parametrize("name", FOREIGN)
def test_vectors_stay_vectors(compiled, name):
    """Eight numbers one by one would be eight times the code. Without AVX it is 1.8 times, on ARM the same in bytes."""
    assert size_of_text(compiled[name]) < 2 * size_of_text(compiled["linux-avx2"])


def size_of_text(index: list[dict]) -> int:
    import llvmlite.binding as llvm

    objects = [llvm.ObjectFileRef.from_data(entry["code"]) for entry in index]
    return sum(section.size() for item in objects for section in item.sections() if section.is_text())


@pytest.fixture(scope="module")
def verdicts(compiled, tmp_path_factory):
    """What pytest says of the backend's tests with the kernels of each target that can be called here.

    Each run takes a processor for some twenty seconds; two are under way at a time.
    """
    folder = tmp_path_factory.mktemp("kernels")

    def judge(name: str) -> subprocess.CompletedProcess:
        file = folder / f"{name}.json"
        file.write_bytes(packed(compiled[name]))
        plugins = ["-p", "no:cacheprovider", "-p", "support.foreign_kernels"]
        variables = child_environment(ROOT, ROOT / "tests", OMP_NUM_THREADS="1", **{KERNELS_VARIABLE: str(file)})
        command = [sys.executable, "-m", "pytest", "-q", *plugins, *JUDGES]
        return subprocess.run(command, env=variables, cwd=ROOT, capture_output=True, text=True)

    callable_here = [name for name in X86 if TARGETS[name].can_be_called]
    with ThreadPoolExecutor(max_workers=2) as pool:
        return dict(zip(callable_here, pool.map(judge, callable_here), strict=True))


@pytest.mark.parametrize("name", X86)
def test_rasterizer_loss_and_optimizer_are_right_with_the_kernels_of(verdicts, name):
    if name not in verdicts:
        pytest.skip(f"this machine cannot call kernels for {TARGETS[name].cpu}")
    run = verdicts[name]
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-1000:]
    assert " passed" in run.stdout
