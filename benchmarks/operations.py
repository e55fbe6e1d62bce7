"""The arithmetic that a program issues, counted by kind from its jaxpr.

An operation on arrays counts once for each element, and what is in a loop as often as the loop goes round. As in the compiled program,
what nothing depends on is not there, what is computed twice is computed once, what is alike in every element is one number, and an addition
to a product that nothing else asks for is a multiply-add. Moving data and reading bits as another type count nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
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
    found = counter.scope(jaxpr, [_Value() for _ in jaxpr.invars])[0]
    if counter.left:
        raise ValueError(f"{len(counter.left)} trips more are given than there are loops without a fixed end")
    return {kind: float(found[kind]) for kind in KINDS}


@dataclass(eq=False)
class _Value:
    """What a variable holds: whether it is one number in every element, and, of a product, its elements and how often it is asked for."""

    uniform: bool = False
    product: int = 0
    uses: int = 0


@dataclass
class _Scope:
    """What is computed together, once: counts, additions with what they add, and what is known already."""

    counts: Counter[str] = field(default_factory=Counter)
    additions: list[tuple[int, list[_Value]]] = field(default_factory=list)
    known: dict[Any, list[_Value]] = field(default_factory=dict)
    literals: dict[Any, _Value] = field(default_factory=dict)


class _Counter:
    """Walks a jaxpr. `left` are the trips of loops that were not met yet."""

    def __init__(self, trips: list[float]) -> None:
        self.left = trips
        self._trips: dict[int, float] = {}

    def scope(self, jaxpr: Jaxpr, given: Sequence[_Value]) -> tuple[Counter[str], list[_Value]]:
        """The counts of a body of code that is given values, and its own values."""
        scope = _Scope()
        results = self._inline(jaxpr, given, scope)
        for result in results:
            result.uses += 1
        for size, terms in scope.additions:
            fused = next((term for term in terms if term.product == size and term.uses == 1), None)
            if fused is not None:
                fused.product = 0
                scope.counts.update({ADDITION: -size, MULTIPLICATION: -size, MULTIPLY_ADD: size})
        return scope.counts, results

    def _inline(self, jaxpr: Jaxpr, given: Sequence[_Value], scope: _Scope) -> list[_Value]:
        held: dict[Var, _Value] = dict(zip(jaxpr.invars, given, strict=True))
        held.update((variable, _Value(_size(variable) == 1)) for variable in jaxpr.constvars)

        def value(atom: Any) -> _Value:
            if isinstance(atom, Literal):
                return scope.literals.setdefault((str(atom.val), str(atom.aval)), _Value(_size(atom) == 1))
            return held[atom]

        for equation in jaxpr.eqns:
            made = self._equation(equation, [value(atom) for atom in equation.invars], scope)
            held.update(zip(equation.outvars, made, strict=True))
        return [value(atom) for atom in jaxpr.outvars]

    def _equation(self, equation: JaxprEqn, operands: list[_Value], scope: _Scope) -> list[_Value]:
        name, parameters = equation.primitive.name, equation.params
        if name in _CALLS:
            inner = parameters.get("jaxpr") or parameters["call_jaxpr"]
            return self._inline(getattr(inner, "jaxpr", inner), operands, scope)
        loops = {"scan": self._scan, "while": self._while, "cond": self._cond}
        if name in loops:
            for operand in operands:
                operand.uses += 1
            counts, made = loops[name](equation, operands)
            scope.counts.update(counts)
            return made
        key = (name, tuple(operands), str(parameters), str([variable.aval for variable in equation.outvars]))
        if key not in scope.known:
            for operand in operands:
                operand.uses += 1
            scope.known[key] = self._computed(equation, operands, scope)
        return scope.known[key]

    def _computed(self, equation: JaxprEqn, operands: list[_Value], scope: _Scope) -> list[_Value]:
        name, (result, *_) = equation.primitive.name, equation.outvars
        if name in _MOVED:
            uniform = name in _REARRANGED and operands[0].uniform
            return [_Value(uniform or _size(variable) == 1) for variable in equation.outvars]
        if name in _REDUCTIONS:
            kind = _REDUCTIONS[name] if _is_number(result) else OTHER
            scope.counts[kind] += _size(equation.invars[0]) - _size(result)
            return [_Value(_size(result) == 1)]
        if name == "convert_element_type" and _dtype(result) == _dtype(equation.invars[0]):
            return operands
        uniform = all(operand.uniform for operand in operands)
        size, made = 1 if uniform else _size(result), _Value(uniform or _size(result) == 1)
        for kind in _kinds(equation):
            scope.counts[kind] += size
            if not uniform and kind == ADDITION:
                scope.additions.append((size, operands))
            if not uniform and kind == MULTIPLICATION and name in ("mul", "square", "integer_pow"):
                made.product = size
        return [made]

    def _scan(self, equation: JaxprEqn, operands: list[_Value]) -> tuple[Counter[str], list[_Value]]:
        body = equation.params["jaxpr"].jaxpr
        # What is carried has the same shape inside and outside; rows that are read or written one a round have one axis more outside.
        carried = sum(map(_alike, equation.outvars, body.outvars))
        consts = sum(map(_alike, equation.invars, body.invars)) - carried
        first_row = consts + carried
        rows = [operand.uniform or _size(one) == 1 for operand, one in zip(operands[first_row:], body.invars[first_row:], strict=True)]
        counts, uniform = self._settled(body, operands[:consts], operands[consts:first_row], rows)
        made = _fresh([*uniform, *(_size(variable) == 1 for variable in equation.outvars[carried:])])
        return _times(counts, equation.params["length"]), made

    def _while(self, equation: JaxprEqn, operands: list[_Value]) -> tuple[Counter[str], list[_Value]]:
        if id(equation) not in self._trips:
            if not self.left:
                raise ValueError("there are more loops without a fixed end than trips are given")
            self._trips[id(equation)] = self.left.pop(0)
        trips, parameters = self._trips[id(equation)], equation.params
        asked, consts = parameters["cond_nconsts"], parameters["body_nconsts"]
        begin = operands[asked + consts :]
        counts, uniform = self._settled(parameters["body_jaxpr"].jaxpr, operands[asked : asked + consts], begin, [])
        condition = self.scope(parameters["cond_jaxpr"].jaxpr, _fresh([*(one.uniform for one in operands[:asked]), *uniform]))[0]
        return _times(counts, trips) + _times(condition, trips + 1), _fresh(uniform)

    def _settled(self, body: Jaxpr, consts: list[_Value], begin: list[_Value], rows: list[bool]) -> tuple[Counter[str], list[bool]]:
        """The counts of a loop's body, and which of what it carries is one number on every round."""
        known, uniform = [one.uniform for one in consts], [one.uniform for one in begin]
        while True:
            counts, results = self.scope(body, _fresh([*known, *uniform, *rows]))
            still = [before and after.uniform for before, after in zip(uniform, results, strict=False)]
            if still == uniform:
                return counts, uniform
            uniform = still

    def _cond(self, equation: JaxprEqn, operands: list[_Value]) -> tuple[Counter[str], list[_Value]]:
        given = [operand.uniform for operand in operands[1:]]
        branches = [self.scope(branch.jaxpr, _fresh(given))[0] for branch in equation.params["branches"]]
        return max(branches, key=lambda counts: counts.total()), [_Value(_size(variable) == 1) for variable in equation.outvars]


def _fresh(uniform: Iterable[bool]) -> list[_Value]:
    return [_Value(one) for one in uniform]


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


def _kinds(equation: JaxprEqn) -> tuple[str, ...]:
    name, result = equation.primitive.name, equation.outvars[0]
    kinds = _MADE_OF.get(name)
    if name in _OTHERS or (kinds is not None and not _is_number(result)):
        return (OTHER,)
    if name == "integer_pow":
        power = abs(equation.params["y"])
        # By squaring: a product for each binary digit after the first, and one more for each of them that is 1.
        products = (MULTIPLICATION,) * (power.bit_length() + power.bit_count() - 2)
        return products if equation.params["y"] > 0 else (*products, DIVISION)
    if kinds is None:
        raise ValueError(f"{name} is not counted: say in benchmarks/operations.py what it is made of")
    return kinds
