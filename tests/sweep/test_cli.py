"""The command: exit codes, messages of one line, and nothing done that was not asked for."""

from __future__ import annotations

import errno
import importlib
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner

import sweep
from sweep import ledger, plots, printed_results
from sweep.cli import main
from sweep.places import Folder
from sweep.shipped import configs_directory
from sweep.spec import loads
from sweep.store import CubeStore
from tests.ran import PRINTED_AGREES, assert_ran
from tests.sweep.studies import PLAIN, assert_same_bits, contents, toy

# `sweep.run` is the function as well.
coordinator = importlib.import_module("sweep.coordinator")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the plain study in plain.toml, in which the command runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.toml").write_text(PLAIN)
    return tmp_path


@pytest.fixture
def done(place, plain_store):
    """The same with the plain study done."""
    shutil.copytree(plain_store, place / "results" / "plain.zarr")
    return place


def siesweep(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def assert_refused(result, code, *parts):
    """It ended with that code and one line that has the parts."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("siesweep: ")
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    for part in parts:
        assert part in result.stderr


# --- run ---------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_run_ends_with_the_results(place, plain_store):
    result = siesweep("run", "plain.toml", "--workers", 1)
    assert result.exit_code == 0, result.output
    assert "plain: 1,024 draws, sobol, seed 0" in result.stdout
    assert "date_of_doubling_3" in result.stdout
    assert f"cube    results{os.sep}plain.zarr" in result.stdout
    assert (place / "results" / "plain.png").is_file()
    assert_same_bits(place / "results" / "plain.zarr", plain_store)
    # Not a terminal: plain lines, the last when all is done.
    assert result.stderr.startswith("plain: 4/4 tiles, ")
    assert "\x1b" not in result.output


@pytest.mark.slow
def test_the_same_command_again_returns_at_once(done, computed):
    before = contents(done / "results" / "plain.zarr")
    first, second = siesweep("run", "plain.toml"), siesweep("run", "plain.toml")
    assert first.exit_code == second.exit_code == 0
    assert first.stdout == second.stdout
    assert second.stderr == ""
    assert computed == []
    assert contents(done / "results" / "plain.zarr").keys() == before.keys()


@pytest.mark.slow
def test_changes_from_outside(place):
    result = siesweep(
        "run", "plain.toml", "-o", "other.zarr", "--draws", 300, "--seed", 9, "--set", "parameters.horizon=12", "--set", "model.x=1"
    )
    assert_refused(result, 2, "plain.toml", "[model] x")
    result = siesweep(
        "run",
        "plain.toml",
        "-o",
        "other.zarr",
        "--draws",
        300,
        "--seed",
        9,
        "--set",
        "parameters.horizon = 12.0",
        "--set",
        "sweep.sampler=random",
    )
    assert result.exit_code == 0, result.output
    cube = sweep.open_cube(place / "other.zarr")
    made = loads(cube.attrs["spec"])
    assert (cube.attrs["draws"], made.seed, made.fixed()["horizon"], made.sampler) == (300, 9, 12, "random")
    assert (place / "other.png").is_file()
    assert not (place / "results").exists()


@pytest.mark.slow
def test_more_draws_extend(done, computed):
    assert siesweep("run", "plain.toml", "--draws", 1500, "--workers", 1).exit_code == 0
    assert computed == ["/4", "/5"]
    assert sweep.open_cube(done / "results" / "plain.zarr").attrs["draws"] == 1500
    assert_refused(
        siesweep("run", "plain.toml"), 2, "plain.toml: [sweep] draws = 1024", "holds 1500 draws already", "use draws = 1500 or more"
    )


@pytest.mark.slow
def test_an_interrupted_run(place, monkeypatch, computed):
    with monkeypatch.context() as patch:
        patch.setattr(CubeStore, "write_tile", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert_refused(
            siesweep("run", "plain.toml", "--workers", 1), 3, "stopped with 0 of 4 tiles done; the same command goes on from there"
        )
        patch.setattr(printed_results, "show_results", lambda *_: pytest.fail("shown"))
        patch.setattr(coordinator, "prepared", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert_refused(siesweep("run", "plain.toml", "--workers", 1), 3, "the same command goes on")
    assert siesweep("run", "plain.toml", "--workers", 1).exit_code == 0


def test_an_interrupt_after_the_run(done, monkeypatch):
    monkeypatch.setattr(printed_results, "show_results", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert_refused(siesweep("run", "plain.toml"), 3, "interrupted")


@pytest.mark.slow
def test_a_full_disk_and_the_same_command_again(place, plain_store, monkeypatch, computed):
    write, calls = CubeStore.write_tile, []

    def failing(self, plan, tile, arrays):
        calls.append(tile)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, plan, tile, arrays)

    with monkeypatch.context() as patch:
        patch.setattr(CubeStore, "write_tile", failing)
        assert_refused(
            siesweep("run", "plain.toml", "--workers", 1),
            1,
            "results/plain.zarr: the disk is full; make room, and the same command goes on",
        )
    computed.clear()
    assert siesweep("run", "plain.toml", "--workers", 1).exit_code == 0
    assert computed == ["/1", "/2", "/3"]
    assert_same_bits(place / "results" / "plain.zarr", plain_store)


@pytest.mark.parametrize("command", [("run", "plain.toml"), ("report", "results/plain.zarr"), ("merge", "results/plain.zarr")])
def test_a_figure_that_cannot_be_written(done, monkeypatch, command):
    """As beside the cube of somebody else: the results are all the same."""

    def refused(spec, cube, path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(plots, "save_figure", refused)
    result = siesweep(*command)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "figure  not saved, results/plain.png cannot be written (Permission denied)\n" in result.stdout
    assert "date_of_doubling_3" in result.stdout
    assert "cube    results/plain.zarr" in result.stdout


@pytest.mark.parametrize(
    ("command", "refusing"),
    [
        (("run", "plain.toml"), "is_file"),
        (("run", "plain.toml"), "read_bytes"),
        (("status", "results/plain.zarr"), "read_bytes"),
        (("report", "results/plain.zarr"), "read_bytes"),
    ],
)
def test_a_store_that_cannot_be_read(done, monkeypatch, command, refusing):
    # Permissions do not bind whoever may do everything, as tests in a container do: the system's answer is made up.
    answer = getattr(Path, refusing)

    def refused(path):
        if "plain.zarr" in path.parts:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return answer(path)

    monkeypatch.setattr(Path, refusing, refused)
    assert_refused(
        siesweep(*command), 1, "results/plain.zarr: cannot be read (Permission denied); have its owner allow it, or name another store"
    )


@pytest.mark.slow
def test_an_error_beyond_the_tolerance_shows_the_results_each_time(place):
    for _ in range(2):
        result = siesweep("run", "plain.toml", "--set", "sweep.tolerance=1e-12", "--workers", 1)
        assert result.exit_code == 1
        assert "date_of_doubling_3" in result.stdout
        assert "exceeds the tolerance 1e-12" in result.stderr.splitlines()[-1]


def test_an_error_beyond_the_tolerance_is_told_although_another_has_begun_to_extend_the_cube(done, monkeypatch):
    def begin_to_extend(*_, **__):
        CubeStore(Folder(done / "results" / "plain.zarr")).set_attributes({"complete": False})
        raise coordinator.ToleranceError("the numerical error 1 exceeds the tolerance 1e-4")

    monkeypatch.setattr(coordinator, "run", begin_to_extend)
    assert_refused(siesweep("run", "plain.toml"), 1, "the numerical error 1 exceeds the tolerance 1e-4")


@pytest.mark.slow
def test_a_disagreement_is_marked_and_no_error(done):
    number = "published.date_of_doubling_3={value = 1000.0, tolerance = 0.1, place = 'table 1'}"
    result = siesweep("run", "plain.toml", "--set", number)
    assert result.exit_code == 0, result.output
    assert "DIFFERS" in result.stdout


def test_a_failed_tile(place, monkeypatch):
    from sweep.execute import inline

    def failing(compiled, plan, tile, device):
        raise RuntimeError("broken")

    monkeypatch.setattr(inline, "compute", failing)
    assert_refused(siesweep("run", "plain.toml", "--workers", 1), 3, "4 of 4 tiles failed (/0, /1, /2, /3): tile /0: broken")


# --- refusals ----------------------------------------------------------------------------------------------------------------------------

BAD = [
    (["--draws", "0"], ["[sweep] draws = 0"]),
    (["--draws", "-5"], ["[sweep] draws = -5"]),
    (["--seed", "-1"], ["[sweep] seed = -1"]),
    (["--set", "parameters.horizn=3"], ["[parameters] horizn", "did you mean horizon?"]),
    (["--set", "parameters.horizon=nan"], ["[parameters] horizon"]),
    (["--set", "model.boost=code"], ["[model] boost"]),
    (["--set", "sweep.model=toy"], ["[sweep] model", "did you mean toy_model?"]),
    (["--set", "store.trajectories_every=100"], ["[store] trajectories_every = 100", "not a power of two", "use 64 or 128"]),
    (["--set", f"sweep.name={'long' * 75}"], ["[sweep] name", "too long for the name of a file", "use 150 letters or less"]),
    (["--set", "horizon"], ["--set horizon: not KEY=VALUE"]),
    (["--set", "=3"], ["--set =3: not KEY=VALUE"]),
    (["--set", "parameters.horizon={uniform=[1,2]"], ["{uniform=[1,2]: the value is not valid TOML", "e.g. --set 'parameters.returns={"]),
]


@pytest.mark.parametrize(("arguments", "parts"), BAD, ids=[" ".join(arguments)[:40] for arguments, _ in BAD])
@pytest.mark.parametrize("command", ["run", "plan"])
def test_bad_input_writes_nothing(place, command, arguments, parts):
    assert_refused(siesweep(command, "plain.toml", *arguments), 2, *parts)
    assert [path.name for path in place.iterdir()] == ["plain.toml"]


@pytest.mark.parametrize("command", ["run", "plan"])
def test_bad_configs(place, command):
    assert_refused(siesweep(command, "nothing.toml"), 2, "nothing.toml")
    (place / "broken.toml").write_text("[sweep\n")
    assert_refused(siesweep(command, "broken.toml"), 2, "broken.toml", "line 1")
    assert_refused(siesweep(command, "."), 2)
    assert sorted(path.name for path in place.iterdir()) == ["broken.toml", "plain.toml"]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--quiet"], ["--quiet", "Fix: see siesweep --help."]),
        (["rum"], ["'rum'", "Fix: see siesweep --help."]),
        (["run"], ["missing argument 'CONFIG'", "Fix: see siesweep run --help."]),
        (["run", "plain.toml", "--drawz", "3"], ["--drawz", "--draws"]),
        (["run", "plain.toml", "--draws", "1e3"], ["'--draws': '1e3' is not a valid integer."]),
        (["plan", "plain.toml", "--seed", "1.5"], ["'--seed': '1.5' is not a valid integer.", "siesweep plan --help"]),
        (["run", "plain.toml", "--workers", "0"], ["'--workers': 0 is not in the range"]),
        (["run", "plain.toml", "--shard", "5/4"], ["'--shard': '5/4' is not K/N", "e.g. 1/4."]),
    ],
)
def test_options_and_commands_that_cannot_be(place, arguments, parts):
    assert_refused(siesweep(*arguments), 2, *parts)
    assert [path.name for path in place.iterdir()] == ["plain.toml"]


def test_a_config_that_may_not_be_read(place, monkeypatch):
    # Whoever runs the tests may read everything.
    monkeypatch.setattr(os, "access", lambda *_, **__: False)

    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert_refused(siesweep("run", "plain.toml"), 2, "plain.toml: cannot be read ([Errno 13] Permission denied")


def test_the_module_is_the_command(place):
    ran = subprocess.run([sys.executable, "-m", "sweep.cli", "plan", "nothing.toml"], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr.startswith("siesweep: nothing.toml: no such file")


def test_another_sweep_in_the_store(done, computed):
    result = siesweep("run", "plain.toml", "--seed", "8", "--set", "parameters.horizon=25")
    assert_refused(
        result, 2, "results/plain.zarr: holds another sweep, which differs in parameters.horizon, seed. Fix: name another store with -o"
    )
    assert computed == []


def test_a_file_that_cannot_be_written_is_named_first(done):
    result = siesweep("replay", "results/plain.zarr", "--index", 3, "--plot", "nowhere/path.png")
    assert result.exit_code == 1
    assert result.stderr == "siesweep: nowhere/path.png: No such file or directory\n"


def test_something_else_in_the_place_of_the_store(place):
    (place / "file").write_text("text")
    (place / "folder").mkdir()
    (place / "folder" / "text").write_text("text")
    for name in ("file", "folder"):
        assert_refused(
            siesweep("run", "plain.toml", "-o", name), 2, f"{name}: exists and is not a sweep's store. Fix: name another with -o"
        )
    assert (place / "file").read_text() == "text"
    assert [file.name for file in (place / "folder").iterdir()] == ["text"]


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("", '"": no address of a store'),
        ("ftp://host/a", "ftp://host/a: no store can be at such an address; write a path, s3://BUCKET/NAME"),
        ("http://host/a", "http://host/a: a web server only gives what it has; write a path, or s3://BUCKET/NAME"),
        ("icechunk+", "icechunk+: a path is wanted behind it; write icechunk+PATH"),
    ],
)
def test_no_address_of_a_store(place, address, told):
    assert_refused(siesweep("run", "plain.toml", "-o", address), 2, told)
    assert [path.name for path in place.iterdir()] == ["plain.toml"]


def test_an_empty_folder_is_room_for_a_store(place):
    (place / "folder").mkdir()
    assert siesweep("run", "plain.toml", "-o", "folder").exit_code == 0
    assert sweep.open_cube("folder").attrs["complete"]


def test_a_store_below_a_file(place):
    assert_refused(
        siesweep("run", "plain.toml", "-o", "plain.toml/plain.zarr"),
        1,
        "plain.toml/plain.zarr: a file stands in the way; name a store elsewhere with -o",
    )


@pytest.mark.slow
def test_a_second_launcher(done):
    store = CubeStore(Folder(done / "results" / "plain.zarr"))
    store.set_attributes({"complete": False})
    with ledger.hold(Folder(done / "results" / "plain.zarr")):
        assert_refused(siesweep("run", "plain.toml"), 1, "results/plain.zarr: another run is writing this store")
    assert siesweep("run", "plain.toml").exit_code == 0


@pytest.mark.parametrize("command", [["run", "plain.toml"], ["status", "results/plain.zarr"]])
def test_a_damaged_zarr_json(done, command):
    (done / "results" / "plain.zarr" / "zarr.json").write_text("{")
    assert_refused(siesweep(*command), 1, "zarr.json cannot be read")


# --- the other commands ------------------------------------------------------------------------------------------------------------------


def test_plan_says_what_it_takes_and_runs_nothing(place, monkeypatch, computed):
    from kernels.program import TileProgram

    monkeypatch.setattr(TileProgram, "__call__", lambda *_: pytest.fail("a kernel ran"))
    monkeypatch.setattr(TileProgram, "compile", lambda *_: pytest.fail("compiled"))
    result = siesweep("plan", configs_directory() / "phase_returns_ceiling.toml", "--workers", 2)
    assert result.exit_code == 0, result.output
    assert "2,048 = returns 64 × distance_to_limits 32" in result.stdout
    assert "8,388,608" in result.stdout
    for row in ("trajectories", "tiles", "memory", "disk: statistics", "disk: histograms", "time", "store"):
        assert row in result.stdout
    assert "12,288 in 48 blocks of 256" in siesweep("plan", "plain.toml", "--draws", 12288).stdout
    one = " ".join(siesweep("plan", "plain.toml", "--draws", 100, "--workers", 1).stdout.split())
    for words in ("100 in 1 block of 256", "1 of up to 1 cell × 100 draws", "on 1 CPU worker,"):
        assert words in one
    assert [path.name for path in place.iterdir()] == ["plain.toml"]


def test_plan_of_more_than_there_is_room_for(place):
    axes = [f"axes.{name}={{ linear = [1.5, 3], points = 65536 }}" for name in ("paper_growth_factor", "papers_for_first_doubling")]
    changes = [
        argument for each in (*axes, "axes.papers_per_agi_month={ linear = [1, 2], points = 65536 }") for argument in ("--set", each)
    ]
    result = siesweep("plan", "plain.toml", *changes, "--set", "store.draws=none")
    assert "281,474,976,710,656 = " in result.stdout
    assert result.exit_code == 0
    assert "left, and `siesweep run` would refuse it" in " ".join(result.stdout.split())


def test_status(done):
    result = siesweep("status", "results/plain.zarr")
    assert result.exit_code == 0, result.output
    assert "plain (toy_model)" in result.stdout
    assert "complete" in result.stdout
    assert "1.02 k of 1.02 k trajectories" in result.stdout
    assert sweep.load("plain.toml").fingerprint() in result.stdout
    CubeStore(Folder(done / "results" / "plain.zarr")).set_attributes({"complete": False})
    assert "not finished" in siesweep("status", "results/plain.zarr").stdout


@pytest.mark.slow
def test_the_config_of_a_store_makes_the_same_sweep(done, computed):
    result = siesweep("status", "results/plain.zarr", "--config")
    assert result.exit_code == 0
    (done / "again.toml").write_text(result.stdout)
    assert siesweep("run", "again.toml").exit_code == 0
    assert computed == []


def test_status_of_what_is_no_store(place):
    (place / "folder").mkdir()
    (place / "folder" / "zarr.json").write_text('{"attributes": {}, "zarr_format": 3, "node_type": "group"}')
    assert_refused(siesweep("status", "nothing.zarr"), 1, "nothing.zarr: no cube there")
    for more in ([], ["--config"]):
        assert_refused(siesweep("status", "folder", *more), 1, "folder: a zarr store, but not a sweep's")


def test_models():
    result = siesweep("models")
    assert result.exit_code == 0
    for name in ("toy_model", "returns_law", "davidson_houlden_2025"):
        assert name in result.stdout
        shown = siesweep("models", name)
        assert shown.exit_code == 0
        assert "parameters" in shown.stdout
    assert "initial_returns_to_software_rnd" in shown.stdout
    assert "paper_linear" in shown.stdout
    assert_refused(siesweep("models", "toy_modle"), 2, "did you mean toy_model?")


def test_version_and_help():
    assert f"version {version('siesweep')}" in siesweep("--version").stdout
    for arguments in ([], ["run"], ["plan"], ["status"], ["models"], ["bench"]):
        for flag in ("-h", "--help"):
            result = siesweep(*arguments, flag)
            assert result.exit_code == 0
            assert "Usage:" in result.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments):
    program = f"""
import sys
from sweep.cli import main
try:
    main({arguments!r})
except SystemExit as end:
    assert not end.code
heavy = {{"jax", "numpy", "xarray", "zarr", "pydantic", "matplotlib", "rich", "dask"}} & sys.modules.keys()
sys.exit(f"imported {{heavy}}" if heavy else 0)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


# --- studies that come with the package -------------------------------------------------------------------------------------------------

CONFIGS = sorted(path.stem for path in configs_directory().glob("*.toml"))
PUBLISHED = [name for name in CONFIGS if "[published]" in (configs_directory() / f"{name}.toml").read_text(encoding="utf-8")]
SMALL = ["--set", "axes.returns.points=4", "--set", "axes.distance_to_limits.points=3"]
DOCS = Path(__file__).resolve().parents[2] / "docs"
ON_PAGES = {
    name
    for page in DOCS.rglob("*.md")
    for name in re.findall(r"^siesweep run configs/(\w+)\.toml", page.read_text(encoding="utf-8"), re.MULTILINE)
}
"""The configs that a page runs: test_docs.py runs them, and asserts the same."""


def run_end_to_end(folder, name, workers, all_draws=False):
    few = [] if all_draws or name in PRINTED_AGREES else ["--draws", "3000"]
    if name in ("phase_returns_ceiling", "sie_phase"):
        few += SMALL
    if name == "sie_phase":
        few += ["--set", "axes.elasticity_of_substitution.points=3"]
    result = siesweep("run", configs_directory() / f"{name}.toml", *few, "--workers", workers)
    assert result.exit_code == 0, result.output
    assert_ran(name, folder / "results" / f"{name}.zarr", result.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CONFIGS if name not in ON_PAGES])
def test_every_config_that_no_page_runs_runs_end_to_end(tmp_path, monkeypatch, compiled_cheaply, steps_not_counted, name):
    monkeypatch.chdir(tmp_path)
    run_end_to_end(tmp_path, name, 1)


@pytest.mark.soak
@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_runs_end_to_end_on_two_devices(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    # Audited as its users have it: an error that one draw in some thousands shows, too.
    run_end_to_end(tmp_path, name, 2, all_draws=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PUBLISHED if name.startswith("davidson_houlden")])
def test_published_numbers_agree(tmp_path, compiled_cheaply, name):
    from sweep.results import rows

    spec = sweep.load(configs_directory() / f"{name}.toml", {"sweep.draws": 2**16, "store.draws": "none"})
    found = [row for row in rows(spec, sweep.run(spec, tmp_path / "cube.zarr")) if row.published]
    assert found
    assert [row for row in found if not row.agrees] == []


@pytest.mark.slow
def test_the_command_itself(done):
    program = "import sys; from sweep.cli import main; main(sys.argv[1:])"
    ended = subprocess.run([sys.executable, "-c", program, "run", "plain.toml"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "date_of_doubling_3" in ended.stdout
    assert ended.stderr == ""


def test_a_map_from_the_command(toy_store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(toy().to_toml())
    shutil.copytree(toy_store, tmp_path / "small.zarr")
    result = siesweep("run", "small.toml", "-o", "small.zarr")
    assert result.exit_code == 0, result.output
    assert "papers_for_first_doubling 2 × paper_growth_factor 3 × 1,400 draws" in result.stdout
