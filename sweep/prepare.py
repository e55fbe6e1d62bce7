"""What a store must be before tiles go into it: made, or found to hold the same sweep, with room for all its draws."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from kernels import models
from kernels.alike import StepCount
from kernels.models import ModelError
from sweep import identity, ledger
from sweep.cube import attributes
from sweep.errors import SpecError
from sweep.finalize import MEASURED
from sweep.ledger import Contents, Ledger, LedgerError
from sweep.places import Busy, Place
from sweep.places.place import WHOLE
from sweep.plan import Plan, TilePolicy, make_plan
from sweep.spec import Spec, loads
from sweep.store import CubeStore, StoreError

_LONG_ENOUGH = 4.0
"""Seconds of a core's work from which on steps are counted that need not be."""
_PATIENCE = 60.0
"""Seconds that a shard waits for another launcher that makes or extends the store."""


def is_finished(spec: Spec, place: Place) -> bool:
    """Whether the store holds exactly this sweep, done. Reads two files and starts nothing. Raises SpecError where it holds another."""
    if not place.has("zarr.json") or not place.has(ledger.HEAD):
        return False
    held = attributes(place)
    if not held.get("complete") or held.get("draws") != spec.draws:
        return False
    same_sweep(spec, place)
    return True


def prepared(spec: Spec, place: Place, workers: int, launcher: str, before_resizing: Callable[[], None] = lambda: None) -> Plan:
    """The plan of the sweep in a store, which is made or extended where it has to be.

    `before_resizing` may refuse to: it is called before anything is written to a store that is there.
    Raises SpecError where the store holds something else or more draws, LedgerError where another launcher is at work.
    """
    until = time.monotonic() + (0.0 if launcher == WHOLE else _PATIENCE)
    while not place.exists():
        try:
            _made(spec, place, workers)
        except Busy as busy:
            # In an object store whoever makes it holds it; several shards may begin together.
            if time.monotonic() > until:
                raise ledger.busy_error(place, busy) from None
            time.sleep(0.5)
    head = same_sweep(spec, place)
    while not _has_room(spec, place):
        try:
            with ledger.hold(place) as book:
                _resize(spec, place, head, book, before_resizing)
        except LedgerError:
            # Several shards that begin together: one of them makes room for all.
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
    return _plan(spec, place, head)


def same_sweep(spec: Spec, place: Place) -> dict[str, Any]:
    """The head of the ledger of a store that holds this sweep. Raises SpecError where it holds something else."""
    if not place.has(ledger.HEAD):
        raise SpecError(place.address, "", None, "exists and is not a sweep's store", "name another with -o, or move it away")
    head = ledger.read_head(place)
    if head["format"] > identity.FORMAT_VERSION:
        newer = f"(format {head['format']}; this one knows {identity.FORMAT_VERSION})"
        raise StoreError(f"{place.address}: made by a newer siesweep {newer}; update siesweep")
    differing = identity.differing_keys(head["identity"], spec.identity())
    if not differing:
        differing = identity.differing_keys({"store": head["store"]}, {"store": _layout(spec, head["store"]["chunks"])})
    if differing:
        keys = ", ".join(differing[:8]) + (", …" if len(differing) > 8 else "")
        fix = "name another store with -o, or give back the old values"
        raise SpecError(place.address, "", None, f"holds another sweep, which differs in {keys}", fix)
    return head


def shown(spec: Spec) -> dict[str, Any]:
    """What of a spec only those need who read the cube, and may change from one call to the next."""
    return {"spec": spec.to_toml(), "start_date": spec.start_date.isoformat() if spec.start_date is not None else None}


def _layout(spec: Spec, chunks: int) -> dict[str, Any]:
    """What of [store] decides which arrays there are, with the `chunks` of one that says nothing of them: not part of the identity, but
    fixed once a store is made."""
    return spec.store.model_dump(mode="json") | {"chunks": spec.store.chunks or chunks}


def _made(spec: Spec, place: Place, workers: int) -> None:
    plan = make_plan(spec, workers)
    count = StepCount(plan.study.budget.steps) if _needs_no_count(plan) else _counted(plan)
    _check_room(plan, place)
    head = {
        "format": identity.FORMAT_VERSION,
        "fingerprint": spec.fingerprint(),
        "identity": spec.identity(),
        "policy": {
            "box": list(plan.policy.box),
            "blocks": plan.policy.blocks,
            "steps": None if count is None else count.most,
            "expected_steps": [] if count is None else list(count.weights),
            "one_kernel": count is not None and count.one_kernel,
        },
        "store": _layout(spec, plan.policy.chunk),
    }
    CubeStore.create(place, plan, _attributes(spec), lambda made: ledger.write_head(made, head))


def _needs_no_count(plan: Plan) -> bool:
    """Whether steps would be counted only to solve like with like, and what that saves of so short a sweep is not worth compiling it."""
    return plan.study.budget.uneven and plan.estimated_seconds(1) < _LONG_ENOUGH


def _counted(plan: Plan) -> StepCount | None:
    """The steps, before any store is made. Raises SpecError where trajectories take too many."""
    try:
        return plan.study.step_count
    except ModelError as error:
        raise SpecError(str(plan.spec.path or plan.spec.name), f"parameters.{error.key}", None, error.problem, error.fix) from None


def _check_room(plan: Plan, place: Place, before: Plan | None = None) -> None:
    """Raises StoreError where the disk cannot hold what the sweep will write, beside what was written by the plan `before`."""
    needed, free = sum(plan.stored_bytes().values()), place.free_bytes()
    if before is not None:
        needed -= sum(before.stored_bytes().values())
    if free is not None and needed > free:
        keeps_none = plan.spec.store.draws == "none"
        less = "ask for fewer draws or cells" if keeps_none else 'keep less ([store] draws = "none")'
        raise StoreError(
            f"{place.address}: the sweep will take about {needed / 1e9:.2g} GB {'' if before is None else 'more '}and the disk has "
            f"{free / 1e9:.2g} GB left; make room, name a store elsewhere with -o, or {less}"
        )


def _has_room(spec: Spec, place: Place) -> bool:
    held = attributes(place)
    if held["draws"] > spec.draws:
        finished = finished_draws(place)
        if spec.draws == finished:
            return False
        holder = place.address if spec.path is not None else "the store"
        back = f", draws = {finished} to go back to what was finished" if finished else ""
        raise SpecError(
            str(spec.path or place.address),
            "sweep.draws",
            spec.draws,
            f"{holder} holds {held['draws']} draws already, and draws are never taken away",
            f"use draws = {held['draws']} or more{back}, or another store (-o)",
        )
    return bool(held["draws"] == spec.draws and "growing_to" not in held)


def finished_draws(place: Place) -> int | None:
    """The draws that a sweep had finished whose extension is not, and to which it may go back; None where there is no such extension."""
    held, finished = attributes(place), ledger.read(place).finished
    if held.get("complete") or finished is None or finished["draws"] >= max(held["draws"], held.get("growing_to", 0)):
        return None
    return int(finished["draws"])


def _resize(spec: Spec, place: Place, head: dict[str, Any], book: Ledger, refuse: Callable[[], None]) -> None:
    """Make room for more draws, or go back to those that were finished. Killed on the way, it is begun again: until the end the store has
    the draws that it had. Whatever refuses it does so before anything is written.
    """
    if _has_room(spec, place):
        return
    cube = CubeStore(place)
    held = cube.attributes
    extents = [extent for extent in (*held.get("extents", []), held["draws"]) if extent < spec.draws]
    plan = make_plan(spec, 1, _policy(head, extents), _steps(head))
    before = make_plan(spec.replace(draws=held["draws"]), 1, _policy(head, held.get("extents", [])), _steps(head))
    _check_room(plan, place, before)
    refuse()
    # What was measured speaks of the draws that there were.
    cube.set_attributes({"complete": False, "growing_to": spec.draws, **dict.fromkeys(MEASURED)})
    for name in _overwritten(plan, ledger.read(place), all_others=place.one_writer):
        book.append({"tile": name, "void": f"{spec.draws} draws are cut into other tiles"})
    cube.resize(plan)
    cube.clear_status()
    cube.set_attributes({"draws": spec.draws, "extents": extents or None, "growing_to": None})


def _overwritten(plan: Plan, held: Contents, all_others: bool) -> Iterator[str]:
    """The tiles with a receipt that are none of the plan's, and share a write unit with one that is; or `all_others` that are none.

    Of those that lie behind the plan's draws data and receipts stay, and count when the sweep is extended to them again. icechunk drops the
    data of what lies outside of an array.
    """
    tiles = {tile.name: tile for tile in plan.tiles()}
    last = (plan.blocks - 1) // plan.policy.blocks
    for name, receipt in held.receipts.items():
        if name in tiles and held.has(tiles[name]):
            continue
        # Sums lie by their blocks, histograms by the number of their column.
        if all_others or name in tiles or receipt["first_block"] // plan.policy.blocks <= last:
            yield name


def _steps(head: dict[str, Any]) -> StepCount | None:
    policy = head["policy"]
    if policy["steps"] is None:
        return None
    return StepCount(policy["steps"], tuple(policy.get("expected_steps", ())), policy.get("one_kernel", False))


def _policy(head: dict[str, Any], extents: list[int]) -> TilePolicy:
    return TilePolicy(tuple(head["policy"]["box"]), head["policy"]["blocks"], tuple(extents), head["store"]["chunks"])


def _plan(spec: Spec, place: Place, head: dict[str, Any]) -> Plan:
    plan = make_plan(spec, 1, _policy(head, attributes(place).get("extents", [])), _steps(head))
    _counted(plan)
    return plan


def plan_of(spec: Spec, place: Place) -> Plan:
    """The plan by which the sweep in a store was cut."""
    return _plan(spec, place, ledger.read_head(place))


def spec_of(place: Place, config: Spec | None = None) -> Spec:
    """The sweep that a cube was made from. Where its model is the user's own code, that comes with the `config` and never from the cube.

    Raises SpecError where the config describes another sweep, CubeError where there is no cube.
    """
    held = attributes(place)
    if config is not None:
        spec = config.replace(draws=held["draws"])
        if spec.fingerprint() != held["fingerprint"]:
            problem = f"does not describe the sweep in {place.address}"
            raise SpecError(str(config.path or config.name), "", None, problem, "give the config that it was made from")
        return spec
    if held["model"] not in models.names():
        problem = f"its model, {held['model']}, is your own code, which is never loaded from a cube"
        raise SpecError(place.address, "", None, problem, "give the config that it was made from: --config CONFIG")
    spec = loads(held["spec"], place.address)
    return spec.replace({"sweep.draws": held["draws"]})


def _attributes(spec: Spec) -> dict[str, Any]:
    return {
        **{name: value for name, value in shown(spec).items() if value is not None},
        "title": spec.name,
        "model": spec.model,
        "format_version": identity.FORMAT_VERSION,
        "fingerprint": spec.fingerprint(),
        "draws": spec.draws,
        "precision": spec.precision,
        "tolerance": spec.tolerance,
        "complete": False,
    }
