"""Compiled kernels are kept, never served stale, and there whatever happens to the processes that compile them."""

import os
import platform
import stat
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
import torch

from splat_addon.errors import SetupError
from splat_addon.trainer.backend.cpu import compile_kernels, kernel_cache, object_symbols

needs_owners = pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows protects the profile by its own lists")
KERNELS = [
    "project_forward", "project_backward", "sort_by_depth", "find_tiles", "place_lists", "fill_lists", "blend_forward",
    "blend_backward", "gather_evidence", "add_evidence", "look_at_places", "photometric_rows", "adam_elements",
    "over_in_light",
]  # fmt: skip


@pytest.fixture(scope="module")
def filled():
    """The cache folder of this machine, which holds all kernels."""
    kernel_cache.kernels()
    return kernel_cache.cache_folder()


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """An empty cache folder for the sources as they are, and nothing loaded."""
    monkeypatch.setattr(kernel_cache, "_loaded", [])
    monkeypatch.setattr(kernel_cache, "cache_folder", lambda: tmp_path / "kernels")
    monkeypatch.setattr(kernel_cache, "spare_folders", lambda: [])
    return tmp_path / "kernels"


def add_one(kernels) -> float:
    """What one step of Adam makes of 1 with a gradient of 1: 1 - rate."""
    values, zeros = torch.ones(1), [torch.zeros(1), torch.zeros(1)]
    kernels.adam_elements(
        0, 1, values, torch.ones(1), *zeros, torch.full((8,), 5.0), 8, 0.9, 0.1, 0.5, 0.5, 2**0.5, 0.0
    )
    return float(values)


def test_a_changed_source_or_version_means_another_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv(kernel_cache.CACHE_VARIABLE, str(tmp_path))
    folder = kernel_cache.cache_folder.__wrapped__
    before = folder()
    assert before.parent == tmp_path
    read_bytes = kernel_cache.Path.read_bytes
    for changed in ("layout.py", "simd.py", "harmonics.py", "srgb.py", "blend.py", "rules.py", "declare.py"):
        with monkeypatch.context() as patch:
            patch.setattr(
                kernel_cache.Path,
                "read_bytes",
                lambda path, changed=changed: read_bytes(path) + (b" " if path.name == changed else b""),
            )
            assert folder() != before
    with monkeypatch.context() as patch:
        patch.setattr(kernel_cache.importlib.metadata, "version", lambda name: "0.0")
        assert folder() != before
    assert folder() == before


def test_every_module_that_kernels_come_from_is_in_the_key():
    """What they import, and what that imports."""
    here = kernel_cache.Path(kernel_cache.__file__).parent / "kernels"
    listed = {(here / f"{name}.py").resolve() for name in (*kernel_cache.KERNEL_MODULES, *kernel_cache._OTHER_SOURCES)}
    for path in listed:
        for line in path.read_text(encoding="utf-8").splitlines():
            module = line.split()[1] if line.startswith("from .") else "."
            name = module.lstrip(".")
            if name:
                above = path.parents[len(module) - len(name) - 1]
                assert above.joinpath(*name.split(".")).with_suffix(".py") in listed, f"{path.name}: {line}"


def test_kernels_are_compiled_once_announced_and_then_read(filled, fresh):
    """The real thing, in processes of their own: seconds."""
    events = []
    before = set(sys.modules)
    compiled = kernel_cache.kernels(lambda: events.append("announced"))
    assert events == ["announced"]
    assert add_one(compiled) == pytest.approx(0.5)
    assert not {name for name in set(sys.modules) - before if name.split(".")[0] == "numba"}
    index = kernel_cache._read(fresh)
    assert sorted(entry["name"] for entry in index) == sorted(KERNELS)
    assert [file.name for file in fresh.iterdir()] == ["kernels.json"]


def test_a_filled_cache_is_read_in_silence(filled, fresh, monkeypatch):
    monkeypatch.setattr(kernel_cache, "cache_folder", lambda: filled)
    monkeypatch.setattr(kernel_cache, "compile_shares", lambda: pytest.fail("compiled in spite of the cache"))
    assert add_one(kernel_cache.kernels(lambda: pytest.fail("announced"))) == pytest.approx(0.5)


@pytest.mark.parametrize(
    "damage", [lambda text: text[:-9], lambda text: text.replace(b"A", b"B", 1), lambda text: b"[]"]
)
def test_a_damaged_cache_is_compiled_again_and_mended(filled, fresh, monkeypatch, damage):
    fresh.mkdir()
    whole = (filled / "kernels.json").read_bytes()
    (fresh / "kernels.json").write_bytes(damage(whole))
    events = []
    monkeypatch.setattr(kernel_cache, "compile_shares", lambda: events.append("compiled") or kernel_cache._read(filled))
    kernel_cache.kernels(lambda: events.append("announced"))
    assert events == ["announced", "compiled"]
    assert (fresh / "kernels.json").read_bytes() == whole


def test_a_cache_that_cannot_be_written_only_costs_time(filled, fresh, monkeypatch):
    fresh.write_text("a file where the folder should be")
    monkeypatch.setattr(kernel_cache, "compile_shares", lambda: kernel_cache._read(filled))
    assert add_one(kernel_cache.kernels()) == pytest.approx(0.5)
    assert fresh.read_text() == "a file where the folder should be"


def test_what_was_compiled_while_the_sources_changed_is_not_kept(filled, fresh, monkeypatch):
    keys = iter(["as they were", "as they are"])
    monkeypatch.setattr(kernel_cache, "_key", lambda: next(keys))
    monkeypatch.setattr(kernel_cache, "compile_shares", lambda: kernel_cache._read(filled))
    assert add_one(kernel_cache.kernels()) == pytest.approx(0.5)
    assert not fresh.exists()


def test_trainers_that_write_at_once_leave_a_whole_cache(filled, tmp_path):
    """Readers see nothing or everything while four write, and no half-written file stays behind."""
    index = kernel_cache._read(filled)
    seen: list[bool] = []

    def write():
        for _ in range(10):
            kernel_cache._keep(tmp_path, index)

    def read():
        for _ in range(40):
            there = (tmp_path / "kernels.json").exists()
            seen.append(not there or kernel_cache._read(tmp_path) == index)

    threads = [threading.Thread(target=work) for work in (write, write, write, write, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(seen) and len(seen) == 80
    assert [file.name for file in tmp_path.iterdir()] == ["kernels.json"]


DYING = "import os; os._exit(3)"
LYING = "print('[]')"
HALF = "import sys; sys.stdout.write('[\"0\", ')"


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-c", DYING],
        [sys.executable, "-c", LYING],
        [sys.executable, "-c", HALF],
        ["/nowhere/python"],
        [None],
    ],
    ids=["dies", "prints no kernels", "stops in the middle", "is not there", "has no name"],
)
def test_a_share_whose_process_fails_is_compiled_here(monkeypatch, command):
    good = [sys.executable, "-c", f"import sys; sys.stdout.buffer.write({kernel_cache.packed([])!r})"]
    monkeypatch.setattr(compile_kernels, "_command", lambda share: command if share[0] == "project" else good)
    monkeypatch.setattr(compile_kernels, "compile_here", lambda share: [{"name": name} for name in share])
    monkeypatch.setattr(compile_kernels.os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    assert compile_kernels.compile_shares() == [{"name": "project"}, {"name": "project_backward"}]


def test_a_process_that_never_ends_is_given_up(monkeypatch):
    started = []
    start = compile_kernels._start
    monkeypatch.setattr(compile_kernels, "_start", lambda share: started.append(start(share)) or started[-1])
    monkeypatch.setattr(
        compile_kernels, "_command", lambda share: [sys.executable, "-c", "input = open(0); print(1 << 9**9)"]
    )
    monkeypatch.setattr(compile_kernels, "TIME_LIMIT_S", 0.01)
    monkeypatch.setattr(compile_kernels, "compile_here", lambda share: [{"name": name} for name in share])
    monkeypatch.setattr(compile_kernels.os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    assert [entry["name"] for entry in compile_kernels.compile_shares()] == list(kernel_cache.KERNEL_MODULES)
    assert len(started) == 2 and all(worker.returncode is not None for worker in started)


def test_one_processor_compiles_here(monkeypatch):
    monkeypatch.setattr(compile_kernels, "_start", lambda share: pytest.fail("started a process"))
    monkeypatch.setattr(compile_kernels, "compile_here", lambda share: [{"name": name} for name in share])
    monkeypatch.setattr(compile_kernels.os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert [entry["name"] for entry in compile_kernels.compile_shares()] == list(kernel_cache.KERNEL_MODULES)


def test_a_compiling_process_whose_trainer_was_killed_ends_in_silence():
    """Nobody reads what it has compiled: more than a pipe holds."""
    orphaned = (
        "import sys; from splat_addon.trainer.backend.cpu import compile_kernels as c;"
        " c.compile_here = lambda share: [{'name': 'blend', 'code': bytes(1 << 20)}]; c.main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", orphaned, "blend"]
    worker = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    worker.stdout.close()
    assert worker.stderr.read() == b"" and worker.wait() == 1


def test_what_a_compiling_process_prints_besides_goes_to_the_log():
    """A share of one small module, as the process itself runs it, with a chatty numba before it."""
    chatty = (
        "import sys; from splat_addon.trainer.backend.cpu import compile_kernels as c; here = c.compile_here; "
        "c.compile_here = lambda share: print('numba says') or here(share); c.main(['adam'])"
    )
    worker = subprocess.run(
        [sys.executable, "-c", chatty],
        capture_output=True,
        check=True,
        env={**compile_kernels.os.environ, "PYTHONPATH": compile_kernels.os.pathsep.join(sys.path)},
    )
    (entry,) = kernel_cache.unpacked(worker.stdout)
    assert entry["name"] == "adam_elements" and len(entry["code"]) > 1000
    assert b"numba says" in worker.stderr


CALLING = """
define i32 @kernel(ptr %result, ptr %exception, i64 %value) {
  %answer = call i64 @NAME(i64 %value)
  store i64 %answer, ptr %result
  ret i32 0
}
declare i64 @NAME(i64)
"""


def entry_of(text: str, triple: str | None = None) -> dict:
    """What the cache keeps of a kernel, from LLVM's text."""
    import llvmlite.binding as llvm

    machine = compile_kernels.target_machine(llvm)
    if triple is not None:
        text = f'target triple = "{triple}"\n{text}'
        target = llvm.Target.from_triple(triple)
        machine = target.create_target_machine(codemodel="large", jit=True)
    return {"name": "small", "symbol": "kernel", "arguments": ["int64"], "code": machine.emit_object(
        llvm.parse_assembly(text)
    )}  # fmt: skip


def test_object_code_that_calls_what_is_not_there_is_refused_in_words():
    """LLVM would end the process."""
    with pytest.raises(SetupError, match="call splat_nowhere, which this system does not have"):
        kernel_cache._load([entry_of(CALLING.replace("NAME", "splat_nowhere"))])


def test_on_windows_ntdll_gives_what_llvm_does_not_find(monkeypatch):
    """As it is for `__chkstk`; here, a library of ours stands for Windows'."""
    function = kernel_cache.ctypes.CFUNCTYPE(kernel_cache.ctypes.c_int64, kernel_cache.ctypes.c_int64)(lambda x: 2 * x)
    libraries = {"ntdll": SimpleNamespace(splat_of_ntdll=function)}
    monkeypatch.setattr(kernel_cache.sys, "platform", "win32")
    monkeypatch.setattr(kernel_cache.ctypes, "CDLL", libraries.__getitem__)
    loaded = kernel_cache._load([entry_of(CALLING.replace("NAME", "splat_of_ntdll"))])
    loaded.small(21)
    assert loaded.small._places[0] == 42
    with pytest.raises(SetupError, match="call splat_nowhere"):
        kernel_cache._load([entry_of(CALLING.replace("NAME", "splat_nowhere"))])


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="emits for x86-64")
def test_coff_is_refused_because_its_weak_names_become_address_0():
    entry = entry_of(CALLING.replace("NAME", "memset"), "x86_64-pc-windows-msvc")
    with pytest.raises(ValueError, match="neither ELF nor Mach-O"):
        kernel_cache._load([entry])


def test_a_kernel_without_an_address_is_refused():
    with pytest.raises(ValueError, match="nothing has no address"):
        kernel_cache.Kernel("nothing", 0, [])


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="emits for x86-64")
def test_windows_kernels_are_elf_objects(monkeypatch):
    """llvmlite makes them so for the code model `jitdefault` alone."""
    import llvmlite.binding as llvm

    monkeypatch.setattr(llvm.targets, "os", SimpleNamespace(name="nt"))
    monkeypatch.setattr(llvm, "get_process_triple", lambda: "x86_64-pc-windows-msvc")
    machine = compile_kernels.target_machine(llvm)
    assert machine.triple == "x86_64-pc-windows-msvc-elf"
    code = machine.emit_object(llvm.parse_assembly(CALLING.replace("NAME", "memset")))
    assert object_symbols.outside_symbols(code) == {"memset"}


def test_helpers_of_a_kernel_stay_inside_its_object(filled):
    """Numba makes those that are not inlined replaceable by another object's."""
    for entry in kernel_cache._read(filled):
        found = object_symbols.symbols(entry["code"])
        assert [symbol.name for symbol in found if symbol.is_weak] == []
        (kernel,) = [symbol for symbol in found if symbol.name.removeprefix("_") == entry["symbol"].removeprefix("_")]
        assert kernel.is_defined


@needs_owners
@pytest.mark.parametrize("loose", ["folder", "file", "owner", "link", "around"])
def test_code_that_others_could_have_written_is_not_run_but_compiled_anew(filled, fresh, monkeypatch, capfd, loose):
    index = kernel_cache._read(filled)
    kernel_cache._keep(fresh, index)
    assert kernel_cache._read(fresh) is not None and stat.S_IMODE(fresh.stat().st_mode) == 0o700
    if loose == "owner":
        monkeypatch.setattr(os, "getuid", lambda: fresh.stat().st_uid + 1)
    elif loose == "link":
        (fresh / "kernels.json").unlink()
        (fresh / "kernels.json").symlink_to(filled / "kernels.json")
    else:
        {"folder": fresh, "file": fresh / "kernels.json", "around": fresh.parent}[loose].chmod(0o777)
    monkeypatch.setattr(kernel_cache, "compile_shares", lambda: index)
    announced = []
    assert add_one(kernel_cache.kernels(lambda: announced.append(True))) == pytest.approx(0.5)
    assert announced and "can be written by others than you" in capfd.readouterr().err
    if loose not in ("owner", "around"):
        assert kernel_cache._read(fresh) is not None, "what was compiled is kept, in a folder of one's own"


@needs_owners
@pytest.mark.parametrize(("mode", "is_run"), [(0o755, True), (0o1777, True), (0o777, False), (0o775, False)])
def test_code_is_run_where_nobody_can_put_another_folder_in_its_place(filled, fresh, mode, is_run):
    assert kernel_cache._keep(fresh, kernel_cache._read(filled))
    fresh.parent.chmod(mode)
    assert (kernel_cache._read(fresh) is not None) is is_run
    assert kernel_cache.not_ours(fresh) == (None if is_run else fresh.parent)


@needs_owners
def test_a_spare_folder_that_somebody_else_has_made_first_is_not_used(filled, monkeypatch, tmp_path):
    monkeypatch.setattr(kernel_cache.tempfile, "gettempdir", lambda: str(tmp_path))
    spare = kernel_cache.spare_folders()[-1]
    spare.parent.mkdir()
    real = os.stat

    def of_somebody(path, *arguments, **options):
        found = real(path, *arguments, **options)
        other = [*found]
        other[stat.ST_UID] += path == spare.parent
        return os.stat_result(other)

    monkeypatch.setattr(os, "stat", of_somebody)
    assert not kernel_cache._keep(spare, kernel_cache._read(filled)) and not (spare / "kernels.json").exists()
    monkeypatch.setattr(os, "stat", real)
    spare.parent.chmod(0o777)  # made by ourselves, with a umask that lets everybody write
    assert kernel_cache._keep(spare, kernel_cache._read(filled)) and kernel_cache._read(spare) is not None
    assert stat.S_IMODE(spare.parent.stat().st_mode) == 0o700


@needs_owners
def test_where_the_folder_is_another_users_a_spare_one_keeps_what_was_compiled(filled, fresh, monkeypatch, tmp_path):
    index, spare, compiled = kernel_cache._read(filled), tmp_path / "spare", []
    kernel_cache._keep(fresh, index)
    monkeypatch.setattr(kernel_cache, "not_ours", lambda folder, name="": folder if folder == fresh else None)
    monkeypatch.setattr(kernel_cache, "spare_folders", lambda: [spare])
    monkeypatch.setattr(kernel_cache, "compile_shares", lambda: compiled.append(True) or index)
    for _ in range(2):
        monkeypatch.setattr(kernel_cache, "_loaded", [])
        assert add_one(kernel_cache.kernels()) == pytest.approx(0.5)
    assert compiled == [True] and (spare / "kernels.json").is_file()


@needs_owners
def test_spare_folders_are_the_users_own(monkeypatch, tmp_path):
    monkeypatch.setenv(kernel_cache.CACHE_VARIABLE, str(tmp_path))
    home, temporary = kernel_cache.spare_folders()
    assert home.parent == kernel_cache.root_of_user() and str(os.getuid()) in temporary.parent.name
    assert home.name == temporary.name == kernel_cache.cache_folder().name
    monkeypatch.delenv(kernel_cache.CACHE_VARIABLE)
    assert kernel_cache.spare_folders() == [temporary]
