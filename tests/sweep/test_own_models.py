"""Models of a user's own: they work like ours, every mistake in one is told in one error, and no cube ever loads their code."""

# A case is read across, so it stands on one line.
# ruff: noqa: E501

from __future__ import annotations

import pickle
import shutil
import sys
import tomllib
from importlib import metadata

import numpy as np
import pytest
from click.testing import CliRunner

import sweep
from sweep import model_source
from sweep.cli import main
from sweep.errors import SpecError
from sweep.schema import json_schema
from sweep.shipped import configs_directory
from sweep.spec import load, loads
from tests.sweep.studies import PLAIN, assert_same_bits

TEMPLATE = configs_directory() / "own_model"
SLOWING = f"{TEMPLATE / 'my_models.py'}:SlowingSoftware"
MINE = 'from kernels.models.toy_model import ToyModel\n\n\nclass Mine(ToyModel):\n    name = "mine"\n    title = "The toy model again"\n'
WHOLE = (TEMPLATE / "my_models.py").read_text(encoding="utf-8")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the plain study of a model in a file beside it; the command runs in another one."""
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "mine.py").write_text(MINE)
    (folder / "plain.toml").write_text(PLAIN.replace('"toy_model"', '"mine.py:Mine"'))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return folder


def siesweep(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def refused(place, code, reference="mine.py:Mine"):
    """The one error for a study whose model's file has this code."""
    (place / "mine.py").write_text(code)
    with pytest.raises(SpecError) as caught:
        load(place / "plain.toml", {"sweep.model": reference})
    error = caught.value
    assert (error.file, error.key, error.value) == (str(place / "plain.toml"), "sweep.model", reference)
    assert error.fix
    assert error.__cause__ is None
    assert "\n" not in str(error)
    return error


# --- like ours ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_template_has_its_closed_form():
    factor, n = np.array([0.9, 1.3]), np.arange(1, 11)
    found = sweep.simulate(SLOWING, {"slowing_factor": factor, "initial_doubling_time": 3, "horizon": 1000}, doublings=10)
    exact = 3 * (factor[:, None] ** n - 1) / np.log(factor)[:, None]
    np.testing.assert_allclose(found.doubling_time, exact, rtol=1e-12)


@pytest.mark.slow
def test_the_template_runs(tmp_path):
    spec = load(TEMPLATE / "own_model.toml", {"draws": 1024, "block": 1024})
    cube = sweep.run(spec, tmp_path / "cube.zarr", workers=1)
    draws = cube["draws"].to_dataset()
    start, factor = draws.initial_doubling_time.values.astype(float), draws.slowing_factor.values.astype(float)
    exact = start * (factor**8 - 1) / np.log(factor)
    np.testing.assert_allclose(draws.date_of_doubling_8, np.where(exact <= 120, exact, np.inf), rtol=1e-4)
    assert cube.attrs["failed_trajectories"] == cube.attrs["cut_off_trajectories"] == 0


def test_the_schema_knows_the_keys_of_the_template():
    tables = tomllib.loads((TEMPLATE / "own_model.toml").read_text(encoding="utf-8"))
    assert set(tables["sweep"]) <= set(json_schema()["$defs"]["SweepTable"]["properties"])
    assert (TEMPLATE / "../siesweep.schema.json").is_file()


@pytest.mark.slow
def test_the_commands_do_with_it_what_they_do_with_ours(place, plain_store):
    result = siesweep("run", place / "plain.toml", "-o", place / "own.zarr", "--workers", 1)
    assert result.exit_code == 0, result.output
    assert_same_bits(place / "own.zarr", plain_store)
    again = siesweep("run", place / "plain.toml", "-o", place / "own.zarr", "--workers", 1)
    assert (again.exit_code, again.stderr) == (0, "")
    assert "date_of_doubling_3" in again.stdout
    assert "mine.py:Mine" in siesweep("plan", place / "plain.toml").stdout
    shown = siesweep("models", "../study/mine.py:Mine")
    assert shown.exit_code == 0
    assert "The toy model again" in shown.stdout


@pytest.mark.slow
def test_a_module_that_python_imports(place, monkeypatch, plain_store):
    monkeypatch.syspath_prepend(place)
    (place / "own_package").mkdir()
    (place / "own_package" / "__init__.py").touch()
    (place / "own_package" / "growth.py").write_text(MINE)
    spec = load(place / "plain.toml", {"model": "own_package.growth:Mine"})
    assert spec.source.sha256 == load(place / "plain.toml").source.sha256
    sweep.run(spec, place / "own.zarr", workers=1)
    assert_same_bits(place / "own.zarr", plain_store)


def entry_points(monkeypatch, *entries):
    """What installed packages have, as (name, value)."""
    found = [metadata.EntryPoint(name, value, model_source.GROUP) for name, value in entries]
    monkeypatch.setattr(metadata, "entry_points", lambda group: found if group == "siesweep.models" else [])


@pytest.mark.slow
def test_an_installed_model(place, monkeypatch, plain_store):
    monkeypatch.syspath_prepend(place)
    (place / "installed_growth.py").write_text(MINE)
    entry_points(monkeypatch, ("fast_growth", "installed_growth:Mine"), ("toy_model", "installed_growth:Mine"))
    spec = load(place / "plain.toml", {"model": "fast_growth"})
    assert spec.model == "fast_growth"
    sweep.run(spec, place / "own.zarr", workers=1)
    assert_same_bits(place / "own.zarr", plain_store)
    assert sweep.simulate("fast_growth").doubling_time[0] == 2
    assert "siesweep models fast_growth" in siesweep("models").stdout
    assert "papers_for_first_doubling" in siesweep("models", "fast_growth").stdout
    # Ours is ours, whatever is installed.
    assert not load(place / "plain.toml", {"model": "toy_model"}).source.is_own
    assert refused(place, MINE, "fast_grwth").fix.startswith("did you mean fast_growth?")


def test_two_installed_models_of_one_name(place, monkeypatch):
    entry_points(monkeypatch, ("fast_growth", "first:A"), ("fast_growth", "second:B"))
    error = refused(place, MINE, "fast_growth")
    assert "first:A, second:B" in error.problem


def test_an_absolute_path_and_another_way_to_write_a_path(place):
    absolute = load(place / "plain.toml", {"model": f"{place / 'mine.py'}:Mine"})
    dotted = load(place / "plain.toml", {"model": "./x/../mine.py:Mine"})
    assert absolute.source.sha256 == dotted.source.sha256
    assert dotted.fingerprint() == load(place / "plain.toml").fingerprint() != absolute.fingerprint()


def test_simulate_looks_in_the_working_folder(place, monkeypatch):
    monkeypatch.chdir(place)
    np.testing.assert_array_equal(sweep.simulate("mine.py:Mine").doubling_time, sweep.simulate("toy_model").doubling_time)
    with pytest.raises(SpecError, match=r'simulate: \[model\] = "other.py:Mine": no such file'):
        sweep.simulate("other.py:Mine")


def test_options_and_dataclasses_in_the_file(place):
    code = WHOLE.replace("class Slowing", '@dataclass\nclass Note:\n    text: str = ""\n\n\nclass Slowing').replace(
        "import math\n", "import math\nfrom dataclasses import dataclass\n"
    )
    (place / "mine.py").write_text(code)
    changes = {"model": "mine.py:SlowingSoftware", "parameters": {"slowing_factor": {"uniform": [1, 2]}}}
    assert load(place / "plain.toml", changes).bounds()["slowing_factor"] == (1, 2)
    with pytest.raises(SpecError, match=r"\[parameters\] slowing_factor.*it reaches .* but slowing_factor lies in \(0, inf\)"):
        load(place / "plain.toml", changes | {"parameters": {"slowing_factor": {"normal": {"mean": 1, "sd": 1}}}})


# --- whose code it is --------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_changed_code_is_other_code(place, computed):
    spec = load(place / "plain.toml")
    sweep.run(spec, place / "own.zarr", workers=1)
    computed.clear()
    # As long as before and written within the same second: byte code by date and size would be stale.
    (place / "mine.py").write_text(MINE.replace("The toy model again", "The toy model AGAIN"))
    changed = load(place / "plain.toml")
    assert changed.source.model().title == "The toy model AGAIN"
    assert spec.source.model().title == "The toy model again"
    result = siesweep("run", place / "plain.toml", "-o", place / "own.zarr")
    assert result.exit_code == 2
    assert "holds another sweep, which differs in model.sha256" in result.stderr
    assert computed == []
    (place / "mine.py").write_text(MINE)
    assert siesweep("run", place / "plain.toml", "-o", place / "own.zarr", "--draws", "1200", "--workers", 1).exit_code == 0
    assert computed == ["/4"]


def test_a_spec_crosses_to_another_process_without_the_code(place, monkeypatch):
    spec = load(place / "plain.toml")
    held = pickle.dumps(spec)
    monkeypatch.setattr(model_source, "_LOADED", {})
    again = pickle.loads(held)
    assert (again.fingerprint(), again.labels()) == (spec.fingerprint(), spec.labels())
    monkeypatch.setattr(model_source, "_LOADED", {})
    (place / "mine.py").write_text(MINE + "\n")
    with pytest.raises(SpecError, match=r"mine\.py:Mine: its file has changed since the sweep was read"):
        pickle.loads(held).labels()
    (place / "mine.py").unlink()
    with pytest.raises(SpecError, match=r"mine\.py:Mine: no such file"):
        pickle.loads(held).labels()


def test_a_cube_opens_when_the_file_is_gone(place, monkeypatch):
    spec = load(place / "plain.toml")
    written = sweep.run(spec, place.parent / "own.zarr", workers=1)["statistics/date_of_doubling_3/mean"].item()
    shutil.rmtree(place)
    monkeypatch.setattr(model_source, "_LOADED", {})
    cube = sweep.open_cube(place.parent / "own.zarr")
    assert cube["statistics/date_of_doubling_3/mean"].item() == written
    assert cube["draws/initial_agis"].attrs["units"] == "AGIs"
    assert cube.attrs["model"] == "mine.py:Mine"
    shown = siesweep("status", place.parent / "own.zarr")
    assert shown.exit_code == 0
    assert "plain (mine.py:Mine)" in shown.stdout


@pytest.mark.parametrize("reference", ["mine.py:Mine", "own_in_a_cube:Mine", "in_a_cube"])
def test_the_config_in_a_cube_loads_no_code(place, monkeypatch, reference):
    monkeypatch.syspath_prepend(place)
    monkeypatch.chdir(place)
    for name in ("mine.py", "own_in_a_cube.py"):
        (place / name).write_text(f'open("ran", "w").close()\n{MINE}')
    entry_points(monkeypatch, ("in_a_cube", "own_in_a_cube:Mine"))
    monkeypatch.delitem(sys.modules, "own_in_a_cube", raising=False)
    text = load(place / "plain.toml", {"model": reference}).to_toml()
    assert f"# model: {reference}, not kept here: it was a file with SHA-256 " in text
    (place / "ran").unlink()
    for name in ("mine.py", "own_in_a_cube.py"):
        (place / name).write_text(f'open("ran", "w").close()\n{MINE}\n')
    with pytest.raises(SpecError, match=r"own models are loaded for config files only.* Fix: save the text as a file beside the model's"):
        loads(text)
    assert not (place / "ran").exists()
    (place / "again.toml").write_text(text)
    assert load(place / "again.toml").model == reference


# --- mistakes ----------------------------------------------------------------------------------------------------------------------------

HORIZON = 'Parameter("horizon", "H", "months", 240.0, 0.0, math.inf, "end of the trajectory", True, True),'
ANOTHER = 'Parameter("{}", "x", "–", {}, 0.0, 1.0, "another"),'


def whole(old, new):
    """The template's class, called Mine, with something else in a place."""
    assert old in WHOLE
    return WHOLE.replace(old, new).replace("SlowingSoftware", "Mine")


def another(name, default):
    return whole(HORIZON, HORIZON + ANOTHER.format(name, default))


# (what, code, a part of the problem, a part of the fix)
BAD = [
    ("no such class", "class Other: pass\n", "no class Mine there", "define one there"),
    ("no such class, but one like it", MINE.replace("Mine", "Mime"), "no class Mine there", "did you mean Mime?"),
    ("no class", "Mine = 3\n", "Mine is not a model", "class Mine(kernels.models.Model)"),
    ("no model", "class Mine: pass\n", "Mine is not a model", "class Mine(kernels.models.Model)"),
    ("nothing defined", "from kernels.models import Model\nclass Mine(Model): pass\n", "Mine has no budget and no solve", "define it"),
    ("solve not defined", whole("def solve(", "def slove("), "Mine has no solve", "define it"),
    ("a name of ours", MINE.replace('"mine"', '"returns_law"'), "calls itself returns_law, which is one of ours", "another name"),
    ("the name of its parent", MINE.replace('name = "mine"', "pass"), "calls itself toy_model, which is one of ours", "another name"),
    ("no name", whole('    name = "slowing_software"\n', ""), "Mine has no name", 'name = "…"'),
    ("no title", whole("    title =", "    titel ="), "Mine has no title", 'title = "…"'),
    ("an empty source", whole("an example", " "), "Mine has no source", 'source = "…"'),
    ("no parameters", whole("    parameters = (", "    parametres = ("), "Mine declares no parameters", "parameters = (Parameter(…), …)"),
    ("parameters that are none", MINE + '    parameters = ("horizon",)\n', "Mine declares no parameters", "parameters = (Parameter(…), …)"),
    ("no horizon", whole(HORIZON, ""), "Mine has no parameter horizon", 'declare Parameter("horizon"'),
    ("a parameter twice", whole(HORIZON, HORIZON * 2), "two parameters of Mine have one name", "a name of its own"),
    ("a parameter called like a dimension", another("draw", 0.5), "cannot be called 'draw'", "not a dimension"),
    ("a parameter that is no name", another("a b", 0.5), "cannot be called 'a b'", "letters"),
    ("a default outside the support", another("other", 2.0), "the default of other in Mine lies outside", "keep it within [0, 1]"),
    ("a default of nothing", another("other", '"nothing"'), "the default of other in Mine leads to no number", "another parameter's name"),
    ("a default of itself", another("other", '"other"'), "the default of other in Mine leads to no number", "write a number"),
    ("options that are none", MINE + '    options = ("a",)\n', "the options of Mine are not options", "Option(name, values, meaning)"),
    (
        "an option called like a parameter",
        MINE.replace("import", "import Option,", 1).replace("toy_model import Option,", "toy_model import")
        + '    from kernels.models import Option\n    options = (Option("horizon", ("a", "b"), "what"),)\n',
        "Mine has horizon twice among its options and parameters",
        "a name of its own",
    ),
    ("it cannot be made", MINE + "    def __init__(self, x): pass\n", "Mine() cannot be made: TypeError", "leave out __init__"),
    ("a class from elsewhere", "from kernels.models import Model as Mine\n", "but in kernels.models.model", '"kernels.models.model:Mine"'),
    ("it raises", MINE + "\n\nx = 1\n1 / 0\n", "mine.py, line 10: ZeroDivisionError: division by zero", "correct this line"),
    ("it raises below", "import math\n\n\ndef f():\n    math.sqrt(-1)\n\n\nf()\n", "mine.py, line 5: ValueError: math domain", "correct"),
    ("it raises elsewhere", "import json\njson.loads('')\n", "mine.py, line 2: JSONDecodeError", "correct this line"),
    ("it ends Python", "import sys\nsys.exit(3)\n", "mine.py, line 2: SystemExit: 3", "correct this line"),
    ("no Python", "class Mine(\n", "mine.py, line 1: SyntaxError: '(' was never closed", "correct this line"),
    ("an import that is missing", "import nothing_of_this_name\n", "line 1: ModuleNotFoundError: No module named", "correct this line"),
    ("a budget that is none", whole("return panels_for", "return 3\n        panels_for"), "`budget` of slowing_software gives int", "Budget(…)"),
    ("solve gives nothing", whole("return QuadratureSolution(", "dict("), "`solve` of slowing_software gives NoneType", "kernels.solvers"),
    ("solve raises", whole('jnp.log(parameters["slowing_factor"])', 'parameters["x"]'), "mine.py, line 40: KeyError: 'x'", "jax.numpy"),
    (
        "an if on a value",
        whole("        return Quad", '        if parameters["horizon"] > 1: pass\n        return Quad'),
        "mine.py, line 41: ValueError: The truth value of an array",
        "compute with jax.numpy",
    ),
    ("an array of another shape", whole("horizon=parameters", "horizon=jnp.ones(3) + 0 * parameters"), "mine.py, line 44: TypeError", "one number a trajectory"),
    ("one number for all", whole('horizon=parameters["horizon"]', "horizon=jnp.float32(9)"), "cannot be solved", "one number a trajectory"),
    (
        "one outcome for all",
        MINE + '    def solve(self, parameters, options, budget):\n        found = super().solve(parameters, options, budget)\n'
        "        object.__setattr__(found, 'cut_off', found.cut_off.any())\n        return found\n",
        "gives cut_off of shape () for 8 trajectories",
        "one number a trajectory",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("code", "problem", "fix"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_bad_model_is_told(place, code, problem, fix):
    before = set(sys.modules)
    (place / "plain.toml").write_text(PLAIN.replace('"toy_model"', '"mine.py:Mine"').replace("initial_agis = { uniform = [0.5, 2] }\n", ""))
    error = refused(place, code)
    assert problem in error.problem
    assert fix in error.fix
    if "cannot be imported" in error.problem:
        assert not [name for name in set(sys.modules) - before if name.startswith("_own_")]


# (reference, a part of the problem, a part of the fix)
REFERENCES = [
    ("other.py:Mine", "no such file: ", "give its path"),
    ("folder.py:Mine", "cannot be read", "readable Python file"),
    ("mine.py", "names a file, but no class in it", '"mine.py:CLASS"'),
    ("mine.py:", "no class  there", "its models: Mine"),
    ("Mine", "unknown model", "FILE.py:CLASS"),
    ("mine:Mine", "no module mine", '"FILE.py:CLASS"'),
    ("tests.nothing:Mine", "no module tests.nothing", '"FILE.py:CLASS"'),
    ("study/mine:Mine", "'study/mine' is neither a Python file nor a module", "package.module:CLASS"),
    (":Mine", "'' is neither a Python file nor a module", "package.module:CLASS"),
    ("json:Mine", "no class Mine there", "define one there"),
    ("kernels.models.toy_model:ToyModel", "calls itself toy_model, which is one of ours", "another name"),
]


@pytest.mark.parametrize(("reference", "problem", "fix"), REFERENCES, ids=[case[0] for case in REFERENCES])
def test_a_bad_reference_is_told(place, reference, problem, fix):
    (place / "folder.py").mkdir()
    error = refused(place, MINE, reference)
    assert problem in error.problem
    assert fix in error.fix


@pytest.mark.parametrize("code", ["import nothing_of_this_name\n", "1 / 0\n", "class Mine(\n"])
def test_a_module_that_raises(place, monkeypatch, code):
    monkeypatch.syspath_prepend(place)
    (place / "own_broken.py").write_text(code)
    assert "own_broken.py, line 1: " in refused(place, MINE, "own_broken:Mine").problem


def test_what_the_model_refuses_is_told_by_its_key(place):
    (place / "mine.py").write_text(
        MINE + "    def budget(self, options, bounds, tolerance):\n"
        "        from kernels.models import ModelError\n"
        '        raise ModelError("initial_agis", "too many", "use fewer")\n'
    )
    with pytest.raises(SpecError, match=r"\[parameters\] initial_agis = \{ uniform = \[0.5, 2\] \}: too many. Fix: use fewer\."):
        load(place / "plain.toml")


PARAMETER = 'Parameter("explosion", "x", "–", 1.0, 0.0, 2.0, "another")'
NAMED_AS_ANOTHER = {
    "a parameter of mine has the name of an outcome, explosion": f"    parameters = (*ToyModel.parameters, {PARAMETER})\n",
    "a dimension of cubes has the name of an outcome, quantile": '    def diagnostic_labels(self, options):\n        return (Label("quantile", "a quantile"),)\n',
}


@pytest.mark.parametrize("problem", NAMED_AS_ANOTHER)
def test_an_outcome_that_has_the_name_of_something_else_in_the_cube(place, problem):
    (place / "mine.py").write_text("from kernels.models import Label, Parameter\n" + MINE + NAMED_AS_ANOTHER[problem])
    with pytest.raises(SpecError, match=rf"\[outcomes\].*: {problem}\. Fix: give it another name in the model"):
        load(place / "plain.toml", {"outcomes.regime": True, "outcomes.diagnostics": True})


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_bad_model_ends_a_command_in_one_line_and_writes_nothing(place, command):
    (place / "mine.py").write_text("1 / 0\n")
    result = siesweep(command, place / "plain.toml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert '[sweep] model = "mine.py:Mine": it cannot be imported: mine.py, line 1: ZeroDivisionError' in result.stderr
    assert list((place.parent / "elsewhere").iterdir()) == []
