"""A spec: what a config resolves to, what makes its identity, and that it can be written and read again."""

from __future__ import annotations

import json
import math
import pickle

import numpy as np
import pytest
import tomli_w

from kernels import models
from kernels.sampling import LogNormal, LogUniform, Normal, Truncated, Uniform
from sweep.errors import SpecError
from sweep.identity import differing_keys
from sweep.shipped import configs_directory
from sweep.spec import load, loads

CONFIGS = sorted(configs_directory().glob("*.toml"))

STUDY = """
[sweep]
name = "study"
model = "returns_law"
draws = 4096
tolerance = 1e-4

[parameters]
parallel_exponent = { loguniform = [0.15, 0.6] }
initial_doubling_time = { lognormal = { ci80 = [0.5, 2] } }
horizon = 48

[axes]
distance_to_limits = { log = [8, 128], points = 5 }
returns = { values = [0.7, 3] }

[correlation]
"parallel_exponent:initial_doubling_time" = 0.5

[model]
ceiling = "linear"

[outcomes]
doublings = [8, 2]
times = [12]
regime = true
windows = [{ name = "fast", months = 4, doublings = 8 }]

[published]
fast = { value = 0.5, tolerance = 0.1, place = "nowhere", at = { distance_to_limits = 32, returns = 3 } }
"""


@pytest.fixture
def study():
    return loads(STUDY)


def test_what_is_left_out_has_its_default():
    spec = loads('[sweep]\nname = "a"\nmodel = "toy_model"\ndraws = 1\n[outcomes]\ndoublings = [1]\n')
    assert (spec.seed, spec.sampler, spec.replicates, spec.precision, spec.block) == (0, "sobol", 16, "float32", 65536)
    assert spec.tolerance == 1e-4
    assert spec.replace(precision="float64").tolerance == 1e-9
    assert (spec.store.draws, spec.store.trajectories_times, spec.store.trajectories_every, spec.store.chunks) == (
        "outcomes",
        49,
        256,
        None,
    )
    assert spec.statistics.quantiles == (0.05, 0.25, 0.5, 0.75, 0.95)
    assert (spec.statistics.mean, spec.statistics.probability, spec.statistics.histogram, spec.statistics.bins_per_octave) == (
        True,
        True,
        True,
        32,
    )
    assert (spec.run.executor, spec.run.workers, spec.run.tile) == ("inline", None, None)
    assert (spec.parameters, spec.axes, spec.correlation, spec.options, spec.published) == ({}, {}, (), {}, ())
    assert spec.fixed() == {parameter.name: parameter.default for parameter in models.get("toy_model").parameters}
    assert spec.path is None


def test_order_is_that_of_the_model(study):
    assert list(study.parameters) == ["initial_doubling_time", "parallel_exponent", "horizon"]
    assert list(study.axes) == ["returns", "distance_to_limits"]
    assert [name for name, _ in study.design().distributions] == ["initial_doubling_time", "parallel_exponent"]
    assert study.correlation == (("initial_doubling_time", "parallel_exponent", 2 * math.sin(math.pi * 0.5 / 6)),)
    assert study.design().correlation == study.correlation


def test_axes(study):
    assert study.axes["returns"].values == (0.7, 3.0)
    values = study.axes["distance_to_limits"].values
    assert values == pytest.approx((8, 16, 32, 64, 128), rel=1e-15)
    assert (values[0], values[-1]) == (8.0, 128.0)
    linear = study.replace({"axes.returns": {"linear": [0.1, 0.7], "points": 4}}).axes["returns"].values
    np.testing.assert_allclose(linear, np.linspace(0.1, 0.7, 4), rtol=1e-15)
    assert (linear[0], linear[-1]) == (0.1, 0.7)


def test_bounds(study):
    bounds = study.bounds()
    assert list(bounds) == [parameter.name for parameter in models.get("returns_law").parameters]
    z = 4.753424308822899
    sd = math.log(2) / 1.2815515655446004
    assert bounds["initial_doubling_time"] == pytest.approx((math.exp(-z * sd), math.exp(z * sd)), rel=1e-9)
    assert bounds["parallel_exponent"] == (0.15, 0.6)
    assert bounds["returns"] == (0.7, 3.0)
    assert bounds["horizon"] == (48.0, 48.0)
    assert study.fixed() == {"horizon": 48.0, "recent_doubling_time": 3.0}
    truncated = study.replace({"parameters.initial_doubling_time.truncate": [0, 3]}).bounds()["initial_doubling_time"]
    assert truncated[0] > 0
    assert truncated[1] == 3.0
    shifted = study.replace({"parameters.initial_doubling_time.shift": 1}).bounds()["initial_doubling_time"]
    assert shifted == pytest.approx((1 + math.exp(-z * sd), 1 + math.exp(z * sd)), rel=1e-9)


def test_a_default_may_name_another_parameter():
    spec = load(configs_directory() / "davidson_houlden_2025.toml")
    assert spec.follows() == {"gradual_boost_max": "initial_speedup"}
    assert spec.bounds()["gradual_boost_max"] == (2.0, 32.0)
    fixed = spec.replace({"parameters.initial_speedup": 8})
    assert fixed.follows() == {}
    assert fixed.fixed()["gradual_boost_max"] == 8.0
    on_an_axis = spec.replace({"parameters.initial_speedup": None, "axes.initial_speedup": {"values": [4, 16]}})
    assert on_an_axis.follows() == {"gradual_boost_max": "initial_speedup"}
    assert on_an_axis.bounds()["gradual_boost_max"] == (4.0, 16.0)
    single = spec.replace({"model.initial_doubling_convention": "single"})
    assert (single.fixed()["gradual_boost_max"], single.fixed()["horizon"]) == (32.0, 72.0)


def test_rules_of_windows_follow_the_model(study):
    assert [window.rule for window in study.outcomes.windows] == ["continuous"]
    spec = load(configs_directory() / "davidson_houlden_2025.toml")
    bare = {"outcomes.windows": [{"name": "w", "months": 12, "doublings": 8}]}
    assert [window.rule for window in spec.replace(bare).outcomes.windows] == ["published"]
    assert [window.rule for window in spec.replace(bare | {"model.time": "continuous"}).outcomes.windows] == ["continuous"]


def test_outcomes_and_their_labels(study):
    names = [label.name for label in study.labels()]
    assert names == [
        *("fast", "explosion", "exponential", "fizzle", "reached_ceiling"),
        *("date_of_doubling_2", "date_of_doubling_8", "doublings_at_12_months"),
    ]
    outcomes = study.outcomes.build()
    assert (outcomes.doublings, outcomes.times, outcomes.regime) == ((2.0, 8.0), (12.0,), 10.0)
    assert (outcomes.windows[0].name, outcomes.windows[0].months, outcomes.windows[0].doublings) == ("fast", 4.0, 8.0)
    assert hash(outcomes) == hash(study.outcomes.build())
    assert study.replace({"outcomes.regime": {"factor": 3}}).outcomes.build().regime == 3.0


def test_published_numbers(study):
    (number,) = study.published
    assert (number.label, number.value, number.tolerance, number.place, number.statistic) == ("fast", 0.5, 0.1, "nowhere", "probability")
    assert number.at["distance_to_limits"] in study.axes["distance_to_limits"].values
    two = [{"value": 1, "tolerance": 1, "place": "a"}, {"value": 2, "tolerance": 1, "place": "b", "statistic": "quantile_0.5"}]
    spec = study.replace({"axes": None, "published": {"date_of_doubling_2": two}})
    assert [(number.statistic, number.value) for number in spec.published] == [("mean", 1.0), ("quantile_0.5", 2.0)]


def test_published_numbers_without_a_counterpart_after_a_change_are_left_out(study):
    assert study.replace({"outcomes.windows": None}).published == ()
    assert study.replace({"axes.returns.values": [1, 2]}).published == ()
    assert len(study.replace({"axes.returns.values": [1, 3]}).published) == 1


def test_a_latent_correlation_is_taken_as_it_is(study):
    key = "correlation.parallel_exponent:initial_doubling_time"
    assert study.replace({key: {"latent": 0.5}}).correlation[0][2] == 0.5
    assert study.replace({key: {"rank": 0.5}}).correlation == study.correlation


def test_overrides(tmp_path):
    file = tmp_path / "study.toml"
    file.write_text(STUDY, encoding="utf-8")
    spec = load(file, {"sweep.draws": 1000, "axes.returns.values": [1, 2, 3], "seed": 7, "parameters.horizon": 60, "correlation": None})
    assert (spec.draws, spec.seed, spec.axes["returns"].values, spec.fixed()["horizon"], spec.correlation) == (
        1000,
        7,
        (1.0, 2.0, 3.0),
        60.0,
        (),
    )
    assert spec.path == file
    assert load(file).draws == 4096


def test_replace_takes_numpy_numbers_and_tuples(study):
    spec = study.replace({"axes.returns.values": np.array([1.0, 2.0])}, draws=np.int64(8), seed=3)
    assert (spec.draws, spec.seed, spec.axes["returns"].values) == (8, 3, (1.0, 2.0))
    assert study.replace({"axes.returns.values": (1, 2)}).axes == spec.axes
    assert study.draws == 4096
    with pytest.raises(SpecError, match=r"\[sweep\] draws = 0"):
        study.replace(draws=0)


def test_replace_takes_a_model_by_name(study):
    kept: dict[str, object] = {"parameters": {}, "axes": None, "correlation": None, "published": None}
    spec = study.replace(kept | {"model": {}, "sweep.model": "toy_model", "outcomes": {"doublings": [1]}})
    assert (spec.model, spec.options) == ("toy_model", {})
    assert spec.replace(model="returns_law").model == "returns_law"


def test_evidence_beside_the_config_comes_first(tmp_path):
    (tmp_path / "evidence").mkdir()
    text = "meaning = 'two\\nlines'\nsource = 'me'\nkind = 'derived'\ndistribution = { uniform = [1, 2] }\n".replace(
        "'two\\nlines'", '"two\\nlines"'
    )
    (tmp_path / "evidence" / "sat_solver_returns.toml").write_text(text, encoding="utf-8")
    file = tmp_path / "study.toml"
    file.write_text(STUDY, encoding="utf-8")
    spec = load(file, {"axes.returns": None, "parameters.returns": {"evidence": "sat_solver_returns"}})
    assert spec.parameters["returns"] == Uniform(1.0, 2.0)
    # Written out, it needs the file no more.
    assert loads(spec.to_toml()).identity() == spec.identity()
    shipped = loads(spec.to_toml()).replace({"parameters.returns": {"evidence": "sat_solver_returns"}})
    assert shipped.fixed()["returns"] == 3.5


@pytest.mark.parametrize("name", sorted(path.stem for path in (configs_directory() / "evidence").glob("*_returns.toml")))
def test_shipped_evidence(study, name):
    spec = study.replace({"axes.returns": None, "parameters.returns": {"evidence": name}})
    assert "returns" in spec.parameters
    known = spec.evidence[name]
    assert known.meaning
    assert known.source
    assert loads(spec.to_toml()).identity() == spec.identity()


def test_evidence_that_is_truncated_twice_is_written_as_it_was(study):
    inner = Truncated(Normal(0.83, 0.15), 0.08, 1.58)
    spec = study.replace({"axes.returns": None, "parameters.returns": {"evidence": "computer_chess_returns", "truncate": [0.5, 1]}})
    assert spec.parameters["returns"] == Truncated(inner, 0.5, 1.0)
    assert loads(spec.to_toml()).parameters == spec.parameters
    parts = [{"weight": 3, "evidence": "computer_chess_returns", "shift": 1}, {"weight": 1, "evidence": "sat_solver_returns", "shift": 1}]
    mixed = study.replace({"axes.returns": None, "parameters.returns": {"mixture": parts}})
    assert loads(mixed.to_toml()).parameters == mixed.parameters


def test_evidence_that_is_a_number_may_be_truncated(study):
    number = {"evidence": "sat_solver_returns", "truncate": [0.5, 5], "shift": 4}
    spec = study.replace({"axes.returns": None, "parameters.returns": number})
    assert spec.parameters["returns"] == 7.5
    assert loads(spec.to_toml()).identity() == spec.identity()
    mixed = study.replace({"axes.returns": None, "parameters.returns": {"mixture": [{"weight": 1, **number}, {"weight": 1, "value": 2}]}})
    assert loads(mixed.to_toml()).parameters == mixed.parameters


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs_load_and_can_be_written_again(path):
    spec = load(path)
    assert spec.name == path.stem
    assert path.read_text(encoding="utf-8").startswith("#:schema ./siesweep.schema.json\n# ")
    again = loads(spec.to_toml())
    assert again.identity() == spec.identity()
    assert again.fingerprint() == spec.fingerprint()
    assert (again.name, again.draws, again.published, again.store, again.run) == (
        spec.name,
        spec.draws,
        spec.published,
        spec.store,
        spec.run,
    )
    assert loads(again.to_toml()).to_toml() == again.to_toml()
    pickled = pickle.loads(pickle.dumps(spec))
    assert (pickled.fingerprint(), pickled.labels(), pickled.design()) == (spec.fingerprint(), spec.labels(), spec.design())


def test_each_model_has_a_base_study():
    assert set(models.names()) <= {path.stem for path in CONFIGS}


def test_the_paper_s_priors():
    base = load(configs_directory() / "davidson_houlden_2025.toml")
    assert base.draws == 2**20
    assert base.parameters == {
        "initial_speedup": LogUniform(2.0, 32.0),
        "initial_returns_to_software_rnd": LogUniform(0.4, 3.6),
        "distance_to_effective_limits": Uniform(6.0, 16.0),
        "parallel_labour_exponent": LogUniform(0.15, 0.6),
    }
    boost = load(configs_directory() / "davidson_houlden_2025_boost_code_paper_priors.toml").parameters
    assert boost["initial_returns_to_software_rnd"] == LogUniform(1.7 / 3, 5.1)
    assert boost["distance_to_effective_limits"] == Uniform(9.0, 19.0)


def test_published_numbers_of_the_toy_model():
    found = {(n.at["paper_growth_factor"], n.label): n.value for n in load(configs_directory() / "toy_model.toml").published}
    for growth in (1.5, 2.0, 3.0):
        dates = np.cumsum([2 * (growth / 2) ** n for n in range(3)])
        assert [found[growth, f"date_of_doubling_{n}"] for n in (1, 2, 3)] == pytest.approx(list(dates))


def test_published_numbers_of_the_returns_law():
    for number in load(configs_directory() / "returns_law.toml").published:
        ratio = 2 ** (1 / number.at["returns"] - 1)
        doublings = int(number.label.rsplit("_", 1)[1])
        assert number.value == pytest.approx((1 - ratio**doublings) / (1 - ratio), abs=number.tolerance)


def test_identity_is_json_and_holds_what_the_contract_says(study):
    identity = study.identity()
    assert json.loads(json.dumps(identity)) == identity
    assert set(identity) == {
        *("format", "model", "options", "parameters", "axes", "correlation", "seed", "sampler", "replicates"),
        *("precision", "tolerance", "block", "outcomes", "statistics"),
    }
    assert set(identity["parameters"]) | set(identity["axes"]) == {parameter.name for parameter in models.get("returns_law").parameters}
    assert len(study.fingerprint()) == 64


SAME = {
    "name": {"sweep.name": "other"},
    "draws": {"sweep.draws": 8192},
    "run": {"run": {"executor": "inline", "workers": 2, "tile": 512}},
    "store": {"store": {"draws": "none", "chunks": 1024}},
    "no published numbers": {"published": None},
    "a default written out": {
        "sweep.seed": 0,
        "sweep.sampler": "sobol",
        "parameters.recent_doubling_time": 3,
        "model.convention": "instantaneous",
    },
    "statistics written out": {"statistics": {"mean": True, "quantiles": [0.95, 0.05, 0.25, 0.5, 0.75]}},
    "whole numbers as floats": {"parameters.horizon": 48.0},
    "other order": {"outcomes.doublings": [2, 8]},
    "another form of the same interval": {"parameters.initial_doubling_time": {"lognormal": {"p10": 0.5, "p90": 2}}},
    "pair the other way round": {"correlation": {"initial_doubling_time:parallel_exponent": {"rank": 0.5}}},
    "regime written out": {"outcomes.regime": {"factor": 10}},
    "outcome not asked for": {"outcomes.peak": False},
}


@pytest.mark.parametrize("changes", SAME.values(), ids=SAME)
def test_what_does_not_change_the_identity(study, changes):
    spec = study.replace(changes)
    assert differing_keys(study.identity(), spec.identity()) == []
    assert spec.fingerprint() == study.fingerprint()


DIFFERENT = {
    "seed": ({"seed": 1}, ["seed"]),
    "sampler": ({"sampler": "random"}, ["sampler"]),
    "replicates": ({"replicates": 32}, ["replicates"]),
    "precision": ({"precision": "float64"}, ["precision"]),
    "tolerance": ({"tolerance": 1e-5}, ["tolerance"]),
    "block": ({"block": 4096}, ["block"]),
    "a number": ({"parameters.horizon": 49}, ["parameters.horizon"]),
    "a distribution": ({"parameters.parallel_exponent": {"loguniform": [0.15, 0.61]}}, ["parameters.parallel_exponent.LogUniform.high"]),
    "a kind": (
        {"parameters.parallel_exponent": {"uniform": [0.15, 0.6]}},
        ["parameters.parallel_exponent.LogUniform", "parameters.parallel_exponent.Uniform"],
    ),
    "a truncation": ({"parameters.initial_doubling_time.truncate": [0.1, 9]}, None),
    "a shift": ({"parameters.initial_doubling_time.shift": 0.1}, None),
    "a default": ({"parameters.recent_doubling_time": 4}, ["parameters.recent_doubling_time"]),
    "an axis": ({"axes.returns.values": [0.8, 3]}, ["axes.returns"]),
    "points": ({"axes.distance_to_limits.points": 6}, ["axes.distance_to_limits"]),
    "an axis for a number": ({"parameters.horizon": None, "axes.horizon": {"values": [48]}}, ["axes.horizon", "parameters.horizon"]),
    "correlation": (
        {"correlation": {"parallel_exponent:initial_doubling_time": 0.4}},
        ["correlation.initial_doubling_time:parallel_exponent"],
    ),
    "no correlation": ({"correlation": None}, ["correlation.initial_doubling_time:parallel_exponent"]),
    "option": ({"model.convention": "geometric"}, ["options.convention"]),
    "times": ({"outcomes.times": [13]}, ["outcomes.times"]),
    "regime": ({"outcomes.regime": {"factor": 9}}, ["outcomes.regime"]),
    "peak": ({"outcomes.peak": True}, ["outcomes.peak"]),
    "window": ({"outcomes.windows": [{"name": "fast", "months": 5, "doublings": 8}]}, ["outcomes.windows"]),
    "quantiles": ({"statistics.quantiles": [0.5]}, ["statistics.quantiles"]),
    "bins": ({"statistics.bins_per_octave": 16}, ["statistics.bins_per_octave"]),
    "histogram": ({"statistics.histogram": False}, ["statistics.histogram"]),
}


@pytest.mark.parametrize(("changes", "keys"), DIFFERENT.values(), ids=DIFFERENT)
def test_what_changes_the_identity(study, changes, keys):
    spec = study.replace(changes)
    assert spec.fingerprint() != study.fingerprint()
    found = differing_keys(study.identity(), spec.identity())
    assert found
    assert keys is None or found == keys
    assert found == differing_keys(spec.identity(), study.identity())


def test_model_changes_the_identity():
    first = loads('[sweep]\nname = "a"\nmodel = "toy_model"\ndraws = 1\n[outcomes]\ndoublings = [1]\n')
    second = first.replace(model="returns_law")
    assert "model" in differing_keys(first.identity(), second.identity())
    assert first.fingerprint() != second.fingerprint()


def test_order_in_the_file_changes_nothing(study):
    tables = dict(reversed(study.document.tables.items()))
    for section in ("parameters", "axes"):
        tables[section] = dict(reversed(tables[section].items()))
    again = loads(tomli_w.dumps(tables))
    assert again.fingerprint() == study.fingerprint()
    assert again.design() == study.design()
    assert list(again.axes) == list(study.axes)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path, study):
    file = tmp_path / "study.toml"
    file.write_bytes(b"\xef\xbb\xbf" + STUDY.replace("\n", "\r\n").encode())
    assert load(file).fingerprint() == study.fingerprint()


def test_a_spec_cannot_be_changed(study):
    with pytest.raises(ValueError, match="frozen"):
        study.draws = 3


def test_distribution_kinds_as_parameters(study):
    spec = study.replace({"parameters.initial_doubling_time": {"lognormal": {"mean_of_log": 0, "sd_of_log": 0.5}}})
    assert spec.parameters["initial_doubling_time"] == LogNormal(0.0, 0.5)
