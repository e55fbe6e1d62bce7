"""Every bad config ends in one SpecError that names the file, the key, the value and a fix."""

# A case is read across, so it stands on one line.
# ruff: noqa: E501

from __future__ import annotations

import pickle
import re
from typing import Any

import pytest
import tomli_w

from kernels import sampling
from sweep.errors import SpecError
from sweep.spec import load, loads

NAN, INF = float("nan"), float("inf")
DRAWN = {"uniform": [1, 2]}


def tables(**changes):
    """A small valid config with some dotted keys (__ for the dot) changed; None removes a key."""
    config: dict[str, Any] = {
        "sweep": {"name": "study", "model": "returns_law", "draws": 64},
        "parameters": {"returns": {"uniform": [0.5, 2]}, "parallel_exponent": {"uniform": [0.2, 0.9]}, "horizon": 48},
        "outcomes": {"doublings": [1]},
    }
    for dotted, value in changes.items():
        *path, last = dotted.split("__")
        here = config
        for key in path:
            here = here.setdefault(key, {})
        if value is None:
            del here[last]
        else:
            here[last] = value
    return config


def published(**changes):
    """A small valid config of the model that has windows of its own."""
    named = {"sweep__model": "davidson_houlden_2025", "parameters": {}, "outcomes": {"doublings": [8]}} | changes
    return tables(**named)


def refused(tmp_path, text):
    """The error for a file with this text (or tables)."""
    file = tmp_path / "study.toml"
    file.write_text(text if isinstance(text, str) else tomli_w.dumps(text), encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load(file)
    error = caught.value
    assert error.file == str(file)
    assert str(error).startswith(str(file))
    assert error.fix
    assert f". Fix: {error.fix}." in str(error)
    assert "pydantic" not in str(error)
    assert "validation error" not in str(error)
    assert caught.value.__cause__ is None
    assert "\n" not in str(error)
    return error


def returns(value):
    return tables(parameters__returns=value)


def window(**changes):
    return {"name": "w", "months": 12, "doublings": 8} | changes


# (what, config, key, value as it stands in the message, a part of the message that says what to do)
CASES = [
    # names
    ("unknown section", tables(outcome={"times": [1]}), "outcome", "{ times = [1] }", "did you mean outcomes?"),
    ("unknown key", tables(sweep__drwas=3), "sweep.drwas", "3", "did you mean draws?"),
    ("key at the top", tables(draws=3), "draws", "3", "put it under [sweep]"),
    ("unknown outcome", tables(outcomes__doubling=[1]), "outcomes.doubling", "[1]", "did you mean doublings?"),
    ("unknown statistic", tables(statistics__means=True), "statistics.means", "true", "did you mean mean?"),
    ("unknown model", tables(sweep__model="return_law"), "sweep.model", '"return_law"', "did you mean returns_law?"),
    ("unknown parameter", tables(parameters__return=1), "parameters.return", "1", "did you mean returns?"),
    ("unknown parameter, other case", tables(parameters__Returns=1), "parameters.Returns", "1", "did you mean returns?"),
    ("unknown axis", tables(axes__initial_doubling={"values": [1]}), "axes.initial_doubling", "{ values = [1] }", "did you mean initial_doubling_time?"),
    ("unknown option", tables(model__celing="linear"), "model.celing", '"linear"', "did you mean ceiling?"),
    ("option of a model without any", tables(sweep__model="toy_model", parameters={}, model={"ceiling": "x"}), "model.ceiling", '"x"', "remove it"),
    ("unknown value of an option", tables(model__ceiling="linaer"), "model.ceiling", '"linaer"', '"linear"'),
    ("unknown evidence", returns({"evidence": "computer_vison_returns"}), "parameters.returns.evidence", '"computer_vison_returns"', "did you mean computer_vision_returns?"),
    ("evidence outside its folder", returns({"evidence": "../x"}), "parameters.returns.evidence", '"../x"', "known evidence"),
    ("unknown distribution", returns({"unifrom": [1, 2]}), "parameters.returns.unifrom", "[1, 2]", "did you mean uniform?"),
    ("unknown sampler", tables(sweep__sampler="sobl"), "sweep.sampler", '"sobl"', "did you mean sobol?"),
    ("unknown executor", tables(run__executor="dusk"), "run.executor", '"dusk"', "allowed values: inline, dask"),
    # missing
    ("no draws", tables(sweep__draws=None), "sweep.draws", None, "add draws"),
    ("no section", tables(outcomes=None), "outcomes", None, "add a section [outcomes]"),
    ("no outcome", tables(outcomes={}), "outcomes", "{}", "peak, regime, most_doublings_in, warning."),
    ("normal without sd", returns({"normal": {"mean": 1}}), "parameters.returns.normal", "{ mean = 1 }", "{ mean, sd }"),
    ("triangular without mode", returns({"triangular": {"low": 1, "high": 2}}), "parameters.returns.triangular.mode", None, "add mode"),
    ("no distribution", returns({}), "parameters.returns", "{}", "exactly one of"),
    ("only a shift", returns({"shift": 1}), "parameters.returns", "{ shift = 1 }", "exactly one of"),
    ("mixture without weight", returns({"mixture": [{"uniform": [1, 2]}]}), "parameters.returns.mixture[0].weight", None, "add weight"),
    # distributions
    ("uniform upside down", returns({"uniform": [2, 1]}), "parameters.returns.uniform", "[2, 1]", "low < high"),
    ("uniform of no width", returns({"uniform": [1, 1]}), "parameters.returns.uniform", "[1, 1]", "low < high"),
    ("uniform with one end", returns({"uniform": [1]}), "parameters.returns.uniform", "[1]", "[low, high]"),
    ("uniform with three ends", returns({"uniform": [1, 2, 3]}), "parameters.returns.uniform", "[1, 2, 3]", "no more than 2"),
    ("loguniform from 0", returns({"loguniform": [0, 1]}), "parameters.returns.loguniform", "[0, 1]", "above 0"),
    ("normal without spread", returns({"normal": {"mean": 1, "sd": 0}}), "parameters.returns.normal.sd", "0", "above 0"),
    ("normal twice over", returns({"normal": {"mean": 1, "sd": 1, "ci80": [1, 2]}}), "parameters.returns.normal", "{ mean = 1, sd = 1, ci80 = [1, 2] }", "{ mean, sd }"),
    ("normal upside down", returns({"normal": {"ci90": [2, 1]}}), "parameters.returns.normal", "{ ci90 = [2, 1] }", "low < high"),
    ("lognormal from below 0", returns({"lognormal": {"ci90": [-1, 2]}}), "parameters.returns.lognormal", "{ ci90 = [-1, 2] }", "above 0"),
    ("lognormal from 0", returns({"lognormal": {"ci80": [0, 2]}}), "parameters.returns.lognormal", "{ ci80 = [0, 2] }", "above 0"),
    ("interval without level", returns({"lognormal": {"ci": [1, 2]}}), "parameters.returns.lognormal.ci", "[1, 2]", "ci80"),
    ("bare interval", returns({"lognormal": [1, 2]}), "parameters.returns.lognormal", "[1, 2]", "ci90"),
    ("bare interval, normal", returns({"normal": [1, 2]}), "parameters.returns.normal", "[1, 2]", "ci90"),
    ("bare interval, no kind", returns([1, 2]), "parameters.returns", "[1, 2]", "{ uniform = [0, 1] }"),
    ("one percentile", returns({"lognormal": {"p50": 1}}), "parameters.returns.lognormal", "{ p50 = 1 }", "{ p10, p50 }"),
    ("three percentiles that disagree", returns({"lognormal": {"p10": 1, "p50": 3, "p90": 4}}), "parameters.returns.lognormal", "{ p10 = 1, p50 = 3, p90 = 4 }", "give two"),
    ("percentiles that fall", returns({"lognormal": {"p10": 2, "p50": 1}}), "parameters.returns.lognormal", "{ p10 = 2, p50 = 1 }", "p10 < p50"),
    ("mode outside", returns({"triangular": {"low": 1, "mode": 3, "high": 2}}), "parameters.returns.triangular", "{ low = 1, mode = 3, high = 2 }", "mode <= high"),
    ("beta upside down", returns({"beta": {"a": 1, "b": 1, "low": 2, "high": 1}}), "parameters.returns.beta", "{ a = 1, b = 1, low = 2, high = 1 }", "low < high"),
    ("beta of shape 0", returns({"beta": {"a": 0, "b": 1}}), "parameters.returns.beta.a", "0", "above 0"),
    ("weights missing", returns({"discrete": {"values": [1, 2], "weights": [1]}}), "parameters.returns.discrete", "{ values = [1, 2], weights = [1] }", "one weight"),
    ("value twice", returns({"discrete": {"values": [1, 1], "weights": [1, 1]}}), "parameters.returns.discrete", "{ values = [1, 1], weights = [1, 1] }", "once"),
    ("negative weight", returns({"discrete": {"values": [1], "weights": [-1]}}), "parameters.returns.discrete.weights[0]", "-1", "above 0"),
    ("empty mixture", returns({"mixture": []}), "parameters.returns.mixture", "[]", "at least 1"),
    ("fault in a mixture", returns({"mixture": [{"weight": 1, "uniform": [2, 1]}]}), "parameters.returns.mixture[0].uniform", "[2, 1]", "low < high"),
    ("unknown evidence in a mixture", returns({"mixture": [{"weight": 1, "evidence": "x"}]}), "parameters.returns.mixture[0].evidence", '"x"', "known evidence"),
    ("two distributions", returns({"uniform": [1, 2], "loguniform": [1, 2]}), "parameters.returns", "{ uniform = [1, 2], loguniform = [1, 2] }", "exactly one"),
    ("truncated to nothing", returns(DRAWN | {"truncate": [5, 6]}), "parameters.returns.truncate", "[5, 6]", "widen it"),
    ("truncated upside down", returns(DRAWN | {"truncate": [2, 1]}), "parameters.returns.truncate", "[2, 1]", "low < high"),
    ("truncated to none of the values", returns({"discrete": {"values": [1, 2], "weights": [1, 1]}, "truncate": [3, 4]}), "parameters.returns.truncate", "[3, 4]", "they lie between 1 and 2"),
    ("mixture truncated to nothing", returns({"mixture": [{"weight": 1, "value": 1}, {"weight": 1, "uniform": [2, 3]}], "truncate": [4, 5]}), "parameters.returns.truncate", "[4, 5]", "they lie between 1 and 3"),
    ("number outside its truncation", returns({"evidence": "sat_solver_returns", "truncate": [1, 2]}), "parameters.returns.truncate", "[1, 2]", "widen it"),
    # types
    ("true for a number", returns(True), "parameters.returns", "true", "write a number"),
    ("text for a number", returns("3"), "parameters.returns", '"3"', "remove the quotes: 3"),
    ("text in an interval", returns({"uniform": ["a", 2]}), "parameters.returns.uniform[0]", '"a"', "write a number"),
    ("text for draws", tables(sweep__draws="64"), "sweep.draws", '"64"', "remove the quotes: 64"),
    ("float for draws", tables(sweep__draws=1e6), "sweep.draws", "1000000.0", "write 1000000,"),
    ("fraction for draws", tables(sweep__draws=1.5), "sweep.draws", "1.5", "whole number"),
    ("true for draws", tables(sweep__draws=True), "sweep.draws", "true", "whole number"),
    ("number for a name", tables(sweep__name=3), "sweep.name", "3", "in quotes"),
    ("number for a section", tables(parameters=3), "parameters", "3", "a section of its own"),
    ("number for outcomes", tables(outcomes=3), "outcomes", "3", "a table is wanted"),
    ("number for a list", tables(outcomes__doublings=3), "outcomes.doublings", "3", "brackets"),
    ("number for a flag", tables(outcomes__peak=1), "outcomes.peak", "1", "true or false"),
    ("number for a regime", tables(outcomes__regime=3), "outcomes.regime", "3", "true or false"),
    ("list for an option", tables(model__ceiling=["linear"]), "model.ceiling", '["linear"]', "in quotes"),
    ("text for a flag of the model", published(model__constant_returns="true"), "model.constant_returns", '"true"', "false, true"),
    ("number beyond float", returns(10**400), "parameters.returns", "1000", "write a number"),
    # not finite
    ("nan", returns(NAN), "parameters.returns", "nan", "finite"),
    ("infinity", returns(INF), "parameters.returns", "inf", "finite"),
    ("infinite end", returns({"uniform": [1, INF]}), "parameters.returns.uniform[1]", "inf", "finite"),
    ("nan on an axis", tables(parameters={}, axes={"returns": {"values": [1.0, NAN]}}), "axes.returns.values[1]", "nan", "finite"),
    ("infinite time", tables(outcomes__times=[INF]), "outcomes.times[0]", "inf", "finite"),
    ("nan correlation", tables(correlation={"returns:parallel_exponent": NAN}), "correlation.returns:parallel_exponent", "nan", "finite"),
    # numbers out of range
    ("no draws at all", tables(sweep__draws=0), "sweep.draws", "0", "1 or more"),
    ("negative draws", tables(sweep__draws=-5), "sweep.draws", "-5", "1 or more"),
    ("too many draws", tables(sweep__draws=2**32 + 1), "sweep.draws", "4294967297", "4294967296 or less"),
    ("negative seed", tables(sweep__seed=-1), "sweep.seed", "-1", "0 or more"),
    ("too large a seed", tables(sweep__seed=2**64), "sweep.seed", "18446744073709551616", "18446744073709551615 or less"),
    ("replicates not a power of two", tables(sweep__replicates=12), "sweep.replicates", "12", "8 or 16"),
    ("one replicate", tables(sweep__replicates=1), "sweep.replicates", "1", "2 or more"),
    ("block not a power of two", tables(sweep__block=1000), "sweep.block", "1000", "512 or 1024"),
    ("tolerance 0", tables(sweep__tolerance=0.0), "sweep.tolerance", "0.0", "above 0"),
    ("name that is a path", tables(sweep__name="a/b"), "sweep.name", '"a/b"', "letters"),
    ("quantile 1", tables(statistics__quantiles=[0.5, 1]), "statistics.quantiles[1]", "1", "below 1"),
    ("bins not a power of two", tables(statistics__bins_per_octave=48), "statistics.bins_per_octave", "48", "32, 64"),
    ("chunks not a power of two", tables(store__chunks=1000), "store.chunks", "1000", "512 or 1024"),
    ("no workers", tables(run__workers=0), "run.workers", "0", "1 or more"),
    # axes
    ("empty axis", tables(parameters={}, axes={"returns": {"values": []}}), "axes.returns.values", "[]", "at least one"),
    ("value twice on an axis", tables(parameters={}, axes={"returns": {"values": [1, 2, 1]}}), "axes.returns", "{ values = [1, 2, 1] }", "once"),
    ("axis that falls", tables(axes={"distance_to_limits": {"values": [64, 16, 128, 32.5]}}), "axes.distance_to_limits", "{ values = [64, 16, 128, 32.5] }", "16 stands after 64. Fix: write values = [16, 32.5, 64, 128]."),
    ("axis of one float32", tables(axes={"distance_to_limits": {"linear": [16, 16.0000001], "points": 100}}), "axes.distance_to_limits", "{ linear = [16, 16.0000001], points = 100 }", 'further apart, or set precision = "float64"'),
    ("values of one float32", tables(axes={"distance_to_limits": {"values": [1, 16, 16.0000001]}}), "axes.distance_to_limits", "{ values = [1, 16, 16.0000001] }", "16.0 and 16.0000001 are the same number in float32"),
    ("axis of one float64", tables(sweep__precision="float64", axes={"distance_to_limits": {"log": [16, 16.000000000000007], "points": 100}}), "axes.distance_to_limits", "{ log = [16, 16.000000000000007], points = 100 }", "Fix: move the values further apart."),
    ("one point", tables(parameters={}, axes={"returns": {"log": [1, 2], "points": 1}}), "axes.returns.points", "1", "2 or more"),
    ("no points", tables(parameters={}, axes={"returns": {"log": [1, 2]}}), "axes.returns", "{ log = [1, 2] }", "points = 64"),
    ("points for values", tables(parameters={}, axes={"returns": {"values": [1, 2], "points": 2}}), "axes.returns.points", "2", "remove points"),
    ("log axis from 0", tables(parameters={}, axes={"returns": {"log": [0, 2], "points": 3}}), "axes.returns.log", "[0, 2]", "above 0"),
    ("axis upside down", tables(parameters={}, axes={"returns": {"linear": [2, 1], "points": 3}}), "axes.returns", "{ linear = [2, 1], points = 3 }", "low < high"),
    ("two grids", tables(parameters={}, axes={"returns": {"linear": [1, 2], "log": [1, 2], "points": 3}}), "axes.returns", "{ linear = [1, 2], log = [1, 2], points = 3 }", "write one of"),
    ("list for an axis", tables(parameters={}, axes={"returns": [1, 2]}), "axes.returns", "[1, 2]", "{ values = [1, 2] }"),
    ("parameter that is an axis too", tables(axes__returns={"values": [1, 2]}), "parameters.returns", "{ uniform = [0.5, 2] }", "remove it"),
    # supports
    ("axis beyond the support", tables(parameters={}, axes={"returns": {"values": [-1, 2]}}), "axes.returns", "{ values = [-1, 2] }", "(0, inf)"),
    ("number beyond the support", returns(-1), "parameters.returns", "-1", "(0, inf)"),
    ("uniform down to an open end", returns({"uniform": [0, 1]}), "parameters.returns", "{ uniform = [0, 1] }", "truncate"),
    ("normal that may be negative", returns({"normal": {"mean": 3, "sd": 0.6}}), "parameters.returns", "{ normal = { mean = 3, sd = 0.6 } }", "truncate"),
    ("lognormal beyond all floats", returns({"lognormal": {"ci90": [1e-200, 1e200]}}), "parameters.returns", "{ lognormal = { ci90 = [1e-200, 1e+200] } }", "truncate"),
    ("shifted beyond the support", returns(DRAWN | {"shift": -3}), "parameters.returns", "{ uniform = [1, 2], shift = -3 }", "narrow it"),
    ("model's own condition", published(model={"retraining": "code"}, parameters={"parallel_labour_exponent": 1.5}), "parameters.parallel_labour_exponent", "1.5", "below 1"),
    ("weights that differ too much", returns({"discrete": {"values": [1, 2], "weights": [1e-300, 1e300]}}), "parameters.returns", "{ discrete = { values = [1, 2], weights = [1e-300, 1e+300] } }", "ordinary size"),
    ("weights too large", returns({"mixture": [{"weight": 1e308, "value": 1}, {"weight": 1e308, "value": 2}]}), "parameters.returns", "{ mixture = [", "ordinary size"),
    ("more than the model can count", published(parameters={"distance_to_effective_limits": 1e308}), "parameters", "{ distance_to_effective_limits = 1e+308 }", "ordinary size"),
    # correlation
    ("not a pair", tables(correlation={"returns": 0.5}), "correlation.returns", "0.5", '"a:b"'),
    ("with itself", tables(correlation={"returns:returns": 0.5}), "correlation.returns:returns", "0.5", '"a:b"'),
    ("perfect correlation", tables(correlation={"returns:parallel_exponent": 1}), "correlation.returns:parallel_exponent", "1", "below 1"),
    ("beyond perfect", tables(correlation={"returns:parallel_exponent": {"latent": -1.5}}), "correlation.returns:parallel_exponent.latent", "-1.5", "above -1"),
    ("rank and latent", tables(correlation={"returns:parallel_exponent": {"rank": 0.1, "latent": 0.1}}), "correlation.returns:parallel_exponent", "{ rank = 0.1, latent = 0.1 }", "rank or latent"),
    ("correlation of an unknown", tables(correlation={"returns:paralel_exponent": 0.5}), "correlation.returns:paralel_exponent", "0.5", "did you mean parallel_exponent?"),
    ("correlation of a number", tables(correlation={"returns:horizon": 0.5}), "correlation.returns:horizon", "0.5", "give horizon a distribution"),
    ("correlation of an axis", tables(axes__distance_to_limits={"values": [8, 9]}, correlation={"returns:distance_to_limits": 0.5}), "correlation.returns:distance_to_limits", "0.5", "distributions"),
    ("correlation of values", tables(parameters__horizon={"discrete": {"values": [12, 48], "weights": [1, 1]}}, correlation={"returns:horizon": 0.5}), "correlation.returns:horizon", "0.5", "continuous"),
    ("pair given twice", tables(correlation={"returns:parallel_exponent": 0.5, "parallel_exponent:returns": 0.5}), "correlation.parallel_exponent:returns", "0.5", "keep one"),
    (
        "not positive definite",
        tables(parameters__horizon={"uniform": [12, 48]}, correlation={"returns:parallel_exponent": 0.9, "returns:horizon": 0.9, "parallel_exponent:horizon": -0.9}),
        "correlation",
        "{ returns:parallel_exponent = 0.9",
        "returns:parallel_exponent, returns:horizon, parallel_exponent:horizon",
    ),
    ("drawn parameter that is not used", tables(sweep__model="growth_law", parameters__noise_sd=DRAWN), "parameters.noise_sd", "{ uniform = [1, 2] }", 'remove it, or use noise = "pace" or "both"'),
    ("axis that is not used", tables(sweep__model="growth_law", axes={"pace_cap": {"values": [2, 5]}}), "axes.pace_cap", "{ values = [2, 5] }", 'use governance = "cap"'),
    ("boost that is not used", published(parameters={"gradual_boost_max": DRAWN}), "parameters.gradual_boost_max", "{ uniform = [1, 2] }", 'use boost = "code" or "paper_linear"'),
    ("elasticity of 0", tables(sweep__model="growth_law", model={"research_input": "ces"}, parameters__elasticity_of_substitution=0), "parameters.elasticity_of_substitution", "0", "above 0"),
    # outcomes
    ("time beyond the horizon", tables(outcomes__times=[49]), "outcomes.times", "[49]", "at most 48"),
    ("time beyond a horizon on an axis", tables(parameters__horizon=None, axes={"horizon": {"values": [6, 12, 48]}}, outcomes__times=[24]), "outcomes.times", "[24]", "use at most 6, or longer horizons in [axes]"),
    ("time beyond a drawn horizon", tables(parameters__horizon={"uniform": [12, 48]}, outcomes__times=[6, 24]), "outcomes.times", "[6, 24]", "use at most 12, or longer horizons in [parameters]"),
    ("progress beyond a horizon of values", tables(parameters__horizon={"discrete": {"values": [12, 48], "weights": [1, 1]}}, outcomes__years_of_progress=[24]), "outcomes.years_of_progress", "[24]", "at most 12"),
    ("doublings beyond a drawn horizon", published(parameters__horizon={"uniform": [12, 48]}, outcomes__most_doublings_in=[24]), "outcomes.most_doublings_in", "[24]", "at most 12"),
    ("window beyond a drawn horizon", tables(parameters__horizon={"uniform": [6, 48]}, outcomes__windows=[window()]), "outcomes.windows[0].months", "12", "at most 6"),
    ("time 0", tables(outcomes__times=[0]), "outcomes.times[0]", "0", "above 0"),
    ("time twice", tables(outcomes__times=[1, 1.0]), "outcomes.times", "[1, 1.0]", "once"),
    ("names that coincide", tables(outcomes__doublings=[1, 1.0000001]), "outcomes", "{ doublings = [1, 1.0000001] }", "six digits"),
    ("window beyond the horizon", tables(outcomes__windows=[window(months=60)]), "outcomes.windows[0].months", "60", "at most 48"),
    ("window of no length", tables(outcomes__windows=[window(months=0)]), "outcomes.windows[0].months", "0", "above 0"),
    ("window of all software", tables(outcomes__windows=[window(doublings=1e7)]), "outcomes.windows[0].doublings", "10000000.0", "or less"),
    ("window without name", tables(outcomes__windows=[{"months": 3, "doublings": 3}]), "outcomes.windows[0].name", None, "add name"),
    ("window without amount", tables(outcomes__windows=[{"months": 3, "name": "w"}]), "outcomes.windows[0]", '{ months = 3, name = "w" }', "exactly one of"),
    ("window with two amounts", tables(outcomes__windows=[window(years=3)]), "outcomes.windows[0]", '{ name = "w", months = 12, doublings = 8, years = 3 }', "exactly one of"),
    ("window with a bad name", tables(outcomes__windows=[window(name="a b")]), "outcomes.windows[0].name", '"a b"', "letters"),
    ("windows of one name", tables(outcomes__windows=[window(), window(months=6)]), "outcomes.windows[1].name", '"w"', "of its own"),
    ("window named as an outcome", tables(outcomes__windows=[window(name="fizzle")], outcomes__regime=True), "outcomes.windows[0].name", '"fizzle"', "of its own"),
    ("window named as a drawn parameter", tables(outcomes__windows=[window(name="returns")]), "outcomes.windows[0].name", '"returns"', "of its own"),
    ("window named as a fixed parameter", tables(outcomes__windows=[window(name="horizon")]), "outcomes.windows[0].name", '"horizon"', "of its own"),
    ("window named as a default", tables(outcomes__windows=[window(name="distance_to_limits")]), "outcomes.windows[0].name", '"distance_to_limits"', "of its own"),
    ("window named as an axis", tables(axes__initial_doubling_time={"values": [1, 2]}, outcomes__windows=[window(name="initial_doubling_time")]), "outcomes.windows[0].name", '"initial_doubling_time"', "of its own"),
    ("window named as a dimension", tables(outcomes__windows=[window(months=6), window(name="draw")]), "outcomes.windows[1].name", '"draw"', "of its own"),
    ("warning that falls", tables(outcomes__warning={"from": 10, "to": 2}), "outcomes.warning", "{ from = 10, to = 2 }", "from below to"),
    ("warning without an end", tables(outcomes__warning={"from": 2}), "outcomes.warning.to", None, "add to"),
    ("warning with an unknown key", tables(outcomes__warning=[{"from": 2, "too": 10}]), "outcomes.warning[0].too", "10", "did you mean to?"),
    ("warning twice", tables(outcomes__warning=[{"from": 2, "to": 10}, {"from": 2, "to": 10}]), "outcomes.warning[1]", "{ from = 2, to = 10 }", "once"),
    ("warning, model without", tables(sweep__model="toy_model", parameters={}, outcomes__warning={"from": 2, "to": 10}), "outcomes.warning", "{ from = 2, to = 10 }", "remove warning"),
    ("gradient of no parameter", tables(outcomes__gradients=["return"]), "outcomes.gradients[0]", '"return"', "did you mean returns?"),
    ("gradient twice", tables(outcomes__gradients=["returns", "returns"]), "outcomes.gradients[1]", '"returns"', "once"),
    ("gradient by the horizon", tables(outcomes__gradients=["horizon"]), "outcomes.gradients[0]", '"horizon"', "remove it"),
    ("gradients of flags alone", tables(outcomes={"regime": True, "gradients": ["returns"]}), "outcomes.gradients", '["returns"]', "add dates"),
    ("published rule, model without", tables(outcomes__windows=[window(rule="published")]), "outcomes.windows[0].rule", '"published"', 'rule = "continuous"'),
    ("published rule, continuous time", published(model={"time": "continuous"}, outcomes={"windows": [window(rule="published")]}), "outcomes.windows[0].rule", '"published"', 'rule = "continuous"'),
    ("unknown rule", tables(outcomes__windows=[window(rule="publishd")]), "outcomes.windows[0].rule", '"publishd"', "did you mean published?"),
    ("years, model without", tables(sweep__model="toy_model", parameters={}, outcomes__windows=[{"name": "w", "months": 6, "years": 3}]), "outcomes.windows[0]", '{ name = "w", months = 6, years = 3 }', "doublings"),
    ("years of progress, model without", tables(sweep__model="toy_model", parameters={}, outcomes__years_of_progress=[12]), "outcomes.years_of_progress", "[12]", "use times"),
    ("most doublings, model without", tables(outcomes__most_doublings_in=[12]), "outcomes.most_doublings_in", "[12]", "windows"),
    ("peak, model without pace", tables(sweep__model="toy_model", parameters={}, outcomes={"peak": True}), "outcomes.peak", "true", "remove peak"),
    ("diagnostics alone, model without", tables(outcomes={"diagnostics": True}), "outcomes.diagnostics", "true", "no further numbers to report"),
    ("regime that nothing leaves", tables(outcomes__regime={"factor": 1}), "outcomes.regime.factor", "1", "above 1"),
    # published numbers
    ("unknown outcome published", tables(published={"date_of_doubling_2": {"value": 1, "tolerance": 1, "place": "x"}}), "published.date_of_doubling_2", '{ value = 1, tolerance = 1, place = "x" }', "date_of_doubling_1"),
    ("published without place", tables(published={"date_of_doubling_1": {"value": 1, "tolerance": 1}}), "published.date_of_doubling_1.place", None, "add place"),
    ("published statistic of another kind", tables(published={"date_of_doubling_1": {"value": 1, "tolerance": 1, "place": "x", "statistic": "quantile_0.4"}}), "published.date_of_doubling_1.statistic", '"quantile_0.4"', "quantile_0.5"),
    ("second place without tolerance", tables(published={"date_of_doubling_1": [{"value": 1, "tolerance": 1, "place": "x"}, {"value": 1, "place": "y"}]}), "published.date_of_doubling_1[1].tolerance", None, "add tolerance"),
    (
        "published at no cell",
        tables(parameters={}, axes={"returns": {"values": [1, 2]}}, published={"date_of_doubling_1": {"value": 1, "tolerance": 1, "place": "x"}}),
        "published.date_of_doubling_1.at",
        None,
        "add at = { returns",
    ),
    (
        "published beside the axis",
        tables(parameters={}, axes={"returns": {"values": [1, 2]}}, published={"date_of_doubling_1": {"value": 1, "tolerance": 1, "place": "x", "at": {"returns": 1.4}}}),
        "published.date_of_doubling_1.at.returns",
        "1.4",
        "e.g. 1",
    ),
    ("published at no axis", tables(published={"date_of_doubling_1": {"value": 1, "tolerance": 1, "place": "x", "at": {"returns": 1}}}), "published.date_of_doubling_1.at.returns", "1", "axes"),
]  # fmt: skip


@pytest.mark.parametrize(("config", "key", "value", "fix"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_bad_config_is_told(tmp_path, config, key, value, fix):
    error = refused(tmp_path, config)
    section, _, rest = key.partition(".")
    assert error.key == key
    head = f"{error.file}: [{section}]" + (f" {rest}" if rest else "")
    assert str(error).startswith(head + (f" = {value}" if value is not None else ": "))
    assert fix in str(error).removeprefix(head)


def test_the_valid_config_is_valid(tmp_path):
    file = tmp_path / "study.toml"
    file.write_text(tomli_w.dumps(tables()), encoding="utf-8")
    assert load(file).draws == 64
    file.write_text(tomli_w.dumps(published()), encoding="utf-8")
    assert load(file).model == "davidson_houlden_2025"


def test_more_dimensions_than_sobol_has(tmp_path, monkeypatch):
    monkeypatch.setattr(sampling, "DIMENSIONS", 1)
    error = refused(tmp_path, tables(sweep__sampler="sobol"))
    assert (error.key, error.value) == ("sweep.sampler", "sobol")
    assert '"random"' in error.fix


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("[sweep]\nname = \n", 2, "invalid value"),
        ("[sweep]\nname = 'a'\nname = 'b'\n", 3, "given twice"),
        ("[sweep]\n[sweep]\n", 2, "given twice"),
        ("[parameters]\nreturns = { uniform = [1, 2], uniform = [1, 2] }\n", 2, "given twice"),
        ("x = 1\n= 3\n", 2, "not valid TOML"),
    ],
)
def test_broken_toml(tmp_path, text, line, part):
    error = refused(tmp_path, text)
    assert re.fullmatch(rf"line {line}, column \d+", error.key)
    assert str(error).startswith(f'{error.file}: {error.key} = "{text.splitlines()[line - 1].strip()}": not valid TOML')
    assert part in error.problem


def test_toml_that_ends_too_early(tmp_path):
    assert refused(tmp_path, "[sweep]\nname = [1,").key.startswith("line 2")


def test_nested_too_deeply(tmp_path):
    assert "nested" in refused(tmp_path, "x = " + "[" * 100_000).problem


def test_no_such_file(tmp_path):
    with pytest.raises(SpecError, match=r"missing\.toml: no such file\. Fix: "):
        load(tmp_path / "missing.toml")


def test_a_directory(tmp_path):
    with pytest.raises(SpecError, match=r": a directory, not a file\. Fix: "):
        load(tmp_path)


def test_not_utf_8(tmp_path):
    file = tmp_path / "study.toml"
    file.write_bytes(b"[sweep]\nname = '\xff'\n")
    with pytest.raises(SpecError, match=r"study\.toml: line 2: byte 16 is not UTF-8 text\. Fix: save the file as UTF-8"):
        load(file)


@pytest.mark.parametrize(
    ("content", "key", "part"),
    [
        ("meaning = 'm'\nsource = 's'\nkind = 'published'\n", "", "neither distribution nor value"),
        ("meaning = 'm'\nsource = 's'\nkind = 'guess'\nvalue = 1\n", "kind", "not one of the allowed values"),
        ("source = 's'\nkind = 'published'\nvalue = 1\n", "meaning", "missing; add meaning = …"),
        ("meaning = 'm'\nkind = 'published'\nvalue = 1\n", "source", "missing; add source = …"),
        ("meaning = 'm'\nsource = 's'\nkind = 'published'\nvalue = 1\ndistribution = { uniform = [1, 2] }\n", "", "distribution and value"),
        ("meaning = 'm'\nsource = 's'\nkind = 'published'\ndistribution = { uniform = [2, 1] }\n", "distribution.uniform", "not below"),
        (
            "meaning = 'm'\nsource = 's'\nkind = 'published'\ndistribution = { evidence = 'own' }\n",
            "distribution.evidence",
            "other evidence",
        ),
        ("meaning = \n", "line 1, column 11", "not valid TOML"),
    ],
)
def test_bad_evidence_names_its_own_file(tmp_path, content, key, part):
    (tmp_path / "evidence").mkdir()
    own = tmp_path / "evidence" / "own.toml"
    own.write_text(content, encoding="utf-8")
    (tmp_path / "study.toml").write_text(tomli_w.dumps(returns({"evidence": "own"})), encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load(tmp_path / "study.toml")
    assert (caught.value.file, caught.value.key) == (str(own), key)
    assert part in f"{caught.value.problem}; {caught.value.fix}"


@pytest.mark.parametrize(
    ("key", "value", "part"),
    [
        ("a..b", 1, "not a dotted key"),
        ("", 1, "not a dotted key"),
        ("sweep.draws.x", 1, "sweep.draws is 64, not a table"),
        ("drwas", 1, "unknown key"),
    ],
)
def test_bad_override(key, value, part):
    spec = loads(tomli_w.dumps(tables()))
    with pytest.raises(SpecError, match=part):
        spec.replace({key: value})


def test_errors_survive_pickling(tmp_path):
    error = refused(tmp_path, tables(sweep__draws=0))
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.key, again.value, again.fix) == (str(error), "sweep.draws", 0, error.fix)


def test_a_long_value_is_shortened(tmp_path):
    error = refused(tmp_path, tables(outcomes__doublings="x" * 1000))
    assert len(str(error)) < 250 + len(error.file)
