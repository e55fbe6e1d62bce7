"""What is read off a compiled program's text: kernels, bytes, loops of known and of unknown length."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from benchmarks.made_of import Made, made_of

ROW, ROWS = 1000 * 4, 8 * 1000 * 4
HEADER = """HloModule jit_f, is_scheduled=true

%added (a: f32[1000], b: f32[1000]) -> f32[1000] {
  %a = f32[1000]{0} parameter(0)
  %b = f32[1000]{0} parameter(1)
  ROOT %sum = f32[1000]{0} add(%a, %b), metadata={op_name="jit(f)/add"}
}

%picked (many: f32[8,1000], at: s32[]) -> f32[1000] {
  %many = f32[8,1000]{1,0} parameter(0)
  %at = s32[] parameter(1)
  %zero = s32[] constant(0)
  %cut = f32[1,1000]{1,0} dynamic-slice(%many, %at, %zero), dynamic_slice_sizes={1,1000}
  ROOT %flat = f32[1000]{0} bitcast(%cut)
}

%put (into: f32[8,1000], one: f32[1000], here: s32[]) -> f32[8,1000] {
  %into = f32[8,1000]{1,0} parameter(0)
  %one = f32[1000]{0} parameter(1)
  %here = s32[] parameter(2)
  %start = s32[] constant(0)
  %row = f32[1,1000]{1,0} bitcast(%one)
  ROOT %placed = f32[8,1000]{1,0} dynamic-update-slice(%into, %row, %here, %start)
}

"""
ADD = "%{} = f32[1000]{{0}} fusion(%x, %x), kind=kLoop, calls=%added"
ENTRY = "ENTRY %main (x: f32[1000], m: f32[8,1000], i: s32[]) -> f32[1000] {{\n  %x = f32[1000]{{0}} parameter(0)\n{}\n}}\n"
MORE = "  %m = f32[8,1000]{1,0} parameter(1)\n  %i = s32[] parameter(2)\n"
BODY = "%body (t: (f32[1000])) -> (f32[1000]) {{\n  %x = f32[1000]{{0}} parameter(0)\n{}\n}}\n\n"


def entry(*lines: str) -> str:
    return ENTRY.format(MORE + "\n".join(f"  {line}" for line in lines))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (entry("ROOT " + ADD.format("one")), Made(1, 3 * ROW)),
        (entry(ADD.format("one"), "ROOT %both = (f32[1000]{0}, f32[1000]{0}) tuple(%one, %x)"), Made(1, 3 * ROW)),
        (entry("ROOT %one = f32[1000]{0} fusion(%m, %i), kind=kLoop, calls=%picked"), Made(1, 2 * ROW + 4)),
        (entry("ROOT %all = f32[8,1000]{1,0} fusion(%m, %x, %i), kind=kLoop, calls=%put"), Made(1, 2 * ROW + 4)),
        (entry("ROOT %all = f32[8,1000]{1,0} copy(%m)"), Made(1, 2 * ROWS)),
        (
            entry(
                "%begun = ((f32[8,1000]{1,0}, f32[1000]{0}, s32[]), f32[8,1000]{1,0}, u32[]) fusion-start(%m, %x, %i), calls=%put",
                "ROOT %all = f32[8,1000]{1,0} fusion-done(%begun)",
            ),
            Made(1, 2 * ROW + 4),
        ),
        (
            BODY.format("  ROOT " + ADD.format("sum.2"))
            + entry(
                "ROOT %after = (f32[1000]{0}) while(%x), condition=%less, body=%body, "
                'backend_config={"known_trip_count":{"n":"12"},"known_init_step":{"init":"0","step":"1"}}'
            ),
            Made(12, 12 * 3 * ROW),
        ),
        (
            BODY.format("  ROOT " + ADD.format("sum.2")) + entry("ROOT %after = (f32[1000]{0}) while(%x), condition=%less, body=%body"),
            Made(1, 3 * ROW, 1),
        ),
        (
            BODY.format("  ROOT " + ADD.format("sum.2")) + entry("ROOT %after = (f32[1000]{0}) call(%x), to_apply=%body"),
            Made(1, 3 * ROW),
        ),
        (
            BODY.format("  ROOT " + ADD.format("sum.2"))
            + entry("ROOT %after = (f32[1000]{0}) conditional(%i, %x, %m), branch_computations={%body, %picked}"),
            Made(1, 3 * ROW),
        ),
    ],
    ids=["fusion", "tuple", "slice", "update", "copy", "asynchronous", "known length", "unknown length", "call", "branches"],
)
def test_what_a_text_says(text: str, expected: Made) -> None:
    assert made_of(HEADER + text) == expected


def test_a_program_of_this_compiler_is_read() -> None:
    def known(x: jax.Array) -> jax.Array:
        return lax.fori_loop(0, 10, lambda _, y: jnp.cumsum(y) * 2.0, x)

    def unknown(x: jax.Array) -> jax.Array:
        return lax.while_loop(lambda y: y[0] < 10, lambda y: jnp.cumsum(y) * 2.0, x)

    rows = jnp.ones(1000, jnp.float32)
    once, ten, some = (made_of(jax.jit(f).lower(rows).compile().as_text()) for f in (lambda x: jnp.cumsum(x) * 2.0, known, unknown))
    assert once.kernels >= 1
    assert once.moved >= 2 * ROW
    assert (once.unknown, ten.unknown, some.unknown) == (0, 0, 1)
    assert ten.kernels >= 10 * once.kernels
    assert 10 * once.moved <= ten.moved <= 15 * once.moved
    assert ten.moved > 5 * some.moved
