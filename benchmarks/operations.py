"""The arithmetic that a program does, counted by kind from its jaxpr.

An operation on arrays counts once for each element, and what is in a loop as often as the loop goes round. As in the compiled program,
what nothing depends on is left out, what is known is not computed, what is there already or does not change in a loop is computed once,
what is one number in every element is one operation, division by a known number is multiplication, and an addition to a product that
nothing else asks for is a multiply-add. Not counted are moving data, reading bits as another type, and what a compiler chooses to compute
twice.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.interpreters.partial_eval import dce_jaxpr

ADDITION, MULTIPLICATION, MULTIPLY_ADD, DIVISION = "additions", "multiplications", "multiply-adds", "divisions"
ROOT, EXPONENTIAL, LOGARITHM, OTHER = "square roots", "exponentials", "logarithms", "others"
KINDS = (ADDITION, MULTIPLICATION, MULTIPLY_ADD, DIVISION, ROOT, EXPONENTIAL, LOGARITHM, OTHER)
"""`OTHER` are comparisons, selections, minima, signs, roundings, conversions, and all that is done to integers and truth values."""

_MADE_OF = {
    "add": (ADDITION,),
    "add_any": (ADDITION,),
    "sub": (ADDITION,),
    "mul": (MULTIPLICATION,),
    "square": (MULTIPLICATION,),
    "div": (DIVISION,),
    "sqrt": (ROOT,),
    "rsqrt": (ROOT, DIVISION),
    "exp": (EXPONENTIAL,),
    "exp2": (MULTIPLICATION, EXPONENTIAL),
    "expm1": (EXPONENTIAL,),
    "log": (LOGARITHM,),
    "log2": (LOGARITHM, MULTIPLICATION),
    "log1p": (LOGARITHM,),
    "pow": (LOGARITHM, MULTIPLICATION, EXPONENTIAL),
    "clamp": (OTHER, OTHER),
}
"""Of numbers, as XLA has it; of integers and truth values each is an `OTHER`."""
_OTHERS = {
    *("abs", "ceil", "floor", "max", "min", "neg", "rem", "round", "sign", "convert_element_type", "is_finite", "select_n"),
    *("eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "xor", "population_count"),
    *("shift_left", "shift_right_arithmetic", "shift_right_logical"),
}
_REDUCTIONS = {"reduce_sum": ADDITION, "reduce_prod": MULTIPLICATION} | dict.fromkeys(
    ("reduce_max", "reduce_min", "reduce_and", "reduce_or"), OTHER
)
_REARRANGED = {"broadcast_in_dim", "copy", "dynamic_slice", "expand_dims", "reshape", "slice", "squeeze", "stop_gradient", "transpose"}
"""What keeps one number one number."""
_MOVED = _REARRANGED | {
    *("bitcast_convert_type", "concatenate", "dynamic_update_slice", "gather", "iota", "pad", "rev", "split", "stack", "unstack")
}
_CALLS = {"jit", "closed_call", "custom_jvp_call", "custom_vjp_call"}


def count(function: Callable[..., Any], *arguments: Any, trips: Sequence[float] = ()) -> dict[str, float]:
    """Operations of `function` of arguments that are, or are shaped as, `arguments`, by kind.

    `trips` is how often each loop without a fixed end goes round, in the order in which they stand. Of a conditional the costlier branch
    counts. Raises ValueError for an operation that is not known here, or for trips that do not match the loops.
    """
    closed = jax.make_jaxpr(function)(*arguments)
    jaxpr, _ = dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars), instantiate=True)
    counter = _Counter(list(trips))
    found, _ = counter.round(jaxpr, _changing(0, [_size(variable) == 1 for variable in jaxpr.invars]))
    if counter.left:
        raise ValueError(f"{len(counter.left)} trips more are given than there are loops without a fixed end")
    return {kind: float(found[kind]) for kind in KINDS}


@dataclass(eq=False)
class _Value:
    """What a variable holds: in how many loops it changes, whether it is known to the compiler, whether it is one number in every element;
    and of a product, its elements and how often it is asked for."""

    depth: int = 0
    known: bool = False
    uniform: bool = False
    product: int = 0
    uses: int = 0


@dataclass
class _Scope:
    """What is computed in one round of a loop: counts, additions with what they add, and what is there already."""

    counts: Counter[str] = field(default_factory=Counter)
    additions: list[tuple[int, list[_Value]]] = field(default_factory=list)
    there: dict[Any, list[_Value]] = field(default_factory=dict)


class _Counter:
    """Walks a jaxpr. `left` are the trips of loops that were not met yet."""

    def __init__(self, trips: list[float]) -> None:
        self.left = trips
        self._trips: dict[int, float] = {}
        self._scopes: list[_Scope] = []
        self._literals: dict[Any, _Value] = {}

    def round(self, jaxpr: Jaxpr, given: list[_Value]) -> tuple[Counter[str], list[_Value]]:
        """The counts of code that is run over and over, given values, and what it gives."""
        scope = _Scope()
        self._scopes.append(scope)
        results = self._inline(jaxpr, given)
        self._scopes.pop()
        for result in results:
            result.uses += 1
        for size, terms in scope.additions:
            fused = next((term for term in terms if term.product == size and term.uses == 1 and term.depth == len(self._scopes)), None)
            if fused is not None:
                fused.product = 0
                scope.counts.update({ADDITION: -size, MULTIPLICATION: -size, MULTIPLY_ADD: size})
        return scope.counts, results

    def _inline(self, jaxpr: Jaxpr, given: Sequence[_Value]) -> list[_Value]:
        held: dict[Var, _Value] = dict(zip(jaxpr.invars, given, strict=True))
        held.update((variable, _Value(known=True, uniform=_size(variable) == 1)) for variable in jaxpr.constvars)

        def value(atom: Any) -> _Value:
            if isinstance(atom, Literal):
                return self._literals.setdefault((str(atom.val), str(atom.aval)), _Value(known=True, uniform=_size(atom) == 1))
            return held[atom]

        for equation in jaxpr.eqns:
            made = self._equation(equation, [value(atom) for atom in equation.invars])
            held.update(zip(equation.outvars, made, strict=True))
        return [value(atom) for atom in jaxpr.outvars]

    def _equation(self, equation: JaxprEqn, operands: list[_Value]) -> list[_Value]:
        name, parameters = equation.primitive.name, equation.params
        if name in _CALLS:
            inner = parameters.get("jaxpr") or parameters["call_jaxpr"]
            return self._inline(getattr(inner, "jaxpr", inner), operands)
        loops = {"scan": self._scan, "while": self._while, "cond": self._cond}
        if name in loops:
            counts, made = loops[name](equation, operands)
            self._scopes[-1].counts.update(counts)
        else:
            # What does not change in a loop is computed before it.
            depth = max((operand.depth for operand in operands), default=0)
            there = self._scopes[depth].there
            key = (name, tuple(operands), str(parameters), str([variable.aval for variable in equation.outvars]))
            if key in there:
                return there[key]
            made = there[key] = self._computed(equation, operands, depth)
        for operand in operands:
            operand.uses += 1
        return made

    def _computed(self, equation: JaxprEqn, operands: list[_Value], depth: int) -> list[_Value]:
        name, (result, *_), scope = equation.primitive.name, equation.outvars, self._scopes[depth]
        known = all(operand.known for operand in operands)
        if name in _MOVED:
            uniform = name in _REARRANGED and operands[0].uniform
            return [_Value(depth, known, uniform or _size(variable) == 1) for variable in equation.outvars]
        if name == "optimization_barrier":
            return operands
        if name == "convert_element_type" and _dtype(result) == _dtype(equation.invars[0]):
            return operands
        uniform = all(operand.uniform for operand in operands)
        made = _Value(depth, known, uniform or _size(result) == 1)
        if known:
            return [made]
        if name in _REDUCTIONS:
            scope.counts[_REDUCTIONS[name] if _is_number(result) else OTHER] += _size(equation.invars[0]) - _size(result)
            return [made]
        size = 1 if uniform else _size(result)
        for kind in _kinds(equation, operands):
            scope.counts[kind] += size
            if kind == ADDITION:
                scope.additions.append((size, operands))
            if kind == MULTIPLICATION:
                made.product = size
        return [made]

    def _scan(self, equation: JaxprEqn, operands: list[_Value]) -> tuple[Counter[str], list[_Value]]:
        body = equation.params["jaxpr"].jaxpr
        # What is carried has the same shape inside and outside; rows that are read or written one a round have one axis more outside.
        carried = sum(map(_alike, equation.outvars, body.outvars))
        first = sum(map(_alike, equation.invars, body.invars))
        rows = [operand.uniform or _size(row) == 1 for operand, row in zip(operands[first:], body.invars[first:], strict=True)]
        counts, uniform = self._settled(body, operands[: first - carried], operands[first - carried : first], rows)
        return _times(counts, equation.params["length"]), self._results(equation, uniform)

    def _while(self, equation: JaxprEqn, operands: list[_Value]) -> tuple[Counter[str], list[_Value]]:
        if id(equation) not in self._trips:
            if not self.left:
                raise ValueError("there are more loops without a fixed end than trips are given")
            self._trips[id(equation)] = self.left.pop(0)
        trips, parameters = self._trips[id(equation)], equation.params
        asked = parameters["cond_nconsts"]
        first = asked + parameters["body_nconsts"]
        counts, uniform = self._settled(parameters["body_jaxpr"].jaxpr, operands[asked:first], operands[first:], [])
        condition, _ = self.round(parameters["cond_jaxpr"].jaxpr, operands[:asked] + _changing(len(self._scopes), uniform))
        return _times(counts, trips) + _times(condition, trips + 1), self._results(equation, uniform)

    def _settled(self, body: Jaxpr, consts: list[_Value], begin: list[_Value], rows: list[bool]) -> tuple[Counter[str], list[bool]]:
        """The counts of a loop's body, and which of what it carries is one number on every round."""
        uniform = [one.uniform for one in begin]
        while True:
            held = uniform
            counts, results = self.round(body, consts + _changing(len(self._scopes), held + rows))
            uniform = [before and after.uniform for before, after in zip(held, results, strict=False)]
            if uniform == held:
                return counts, uniform

    def _cond(self, equation: JaxprEqn, operands: list[_Value]) -> tuple[Counter[str], list[_Value]]:
        # What is in a branch stays in it.
        given = _changing(len(self._scopes), [operand.uniform for operand in operands[1:]])
        branches = [self.round(branch.jaxpr, given)[0] for branch in equation.params["branches"]]
        return max(branches, key=lambda counts: counts.total()), self._results(equation, [])

    def _results(self, equation: JaxprEqn, uniform: list[bool]) -> list[_Value]:
        """What a loop gives: what it carried, of which it is known whether it is one number, and its rows."""
        rest = [_size(variable) == 1 for variable in equation.outvars[len(uniform) :]]
        return _changing(len(self._scopes) - 1, uniform + rest)


def _changing(depth: int, uniform: list[bool]) -> list[_Value]:
    """Values that change in the loop at a depth."""
    return [_Value(depth, uniform=one) for one in uniform]


def _times(counts: Counter[str], times: float) -> Counter[str]:
    scaled: Counter[str] = Counter()
    for kind, number in counts.items():
        # It holds any number, whatever its type says.
        scaled[kind] = number * times  # type: ignore[assignment]
    return scaled


def _size(atom: Any) -> int:
    return math.prod(atom.aval.shape)


def _alike(outside: Any, inside: Any) -> bool:
    return bool(outside.aval.shape == inside.aval.shape)


def _dtype(atom: Any) -> Any:
    return atom.aval.dtype


def _is_number(atom: Any) -> bool:
    return bool(jnp.issubdtype(_dtype(atom), jnp.floating))


def _kinds(equation: JaxprEqn, operands: list[_Value]) -> tuple[str, ...]:
    name, result = equation.primitive.name, equation.outvars[0]
    kinds = _MADE_OF.get(name)
    if name in _OTHERS or (kinds is not None and not _is_number(result)):
        return (OTHER,)
    if name == "div" and operands[1].known:
        # By a number that the compiler knows: it multiplies by the reciprocal.
        return (MULTIPLICATION,)
    if name == "integer_pow":
        power = abs(equation.params["y"])
        # By squaring: a product for each binary digit after the first, and one more for each of them that is 1.
        products = (MULTIPLICATION,) * (power.bit_length() + power.bit_count() - 2)
        return products if equation.params["y"] > 0 else (*products, DIVISION)
    if kinds is None:
        raise ValueError(f"{name} is not counted: say in benchmarks/operations.py what it is made of")
    return kinds
