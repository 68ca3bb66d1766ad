"""`convolution` against `lax.conv_general_dilated` and against finite differences."""

import itertools
from functools import partial

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from deepphenomena.kernels import _convolution_native, convolution, convolution_reference
from deepphenomena.kernels._convolution_faces import Geometry, bind
from deepphenomena.runtime.errors import InputError

TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


@st.composite
def problems(draw):
    """Small convolutions of every kind: odd and even images, kernels larger than images, unequal strides."""
    padding = draw(st.sampled_from(["SAME", "VALID", "CIRCULAR"]))
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 4)))
    low = kernel if padding == "VALID" else (1, 1)
    image = tuple(draw(st.integers(size, 9)) for size in low)
    return {
        "x": (draw(st.integers(1, 3)), *image, draw(st.integers(1, 9))),
        "w": (*kernel, draw(st.integers(1, 5))),
        "options": {"stride": draw(st.tuples(st.integers(1, 3), st.integers(1, 3))), "padding": padding},
        "seed": draw(st.integers(0, 2**31 - 1)),
    }


def arrays(problem, dtype, *, members=0):
    """x and w of a problem; with `members`, each with that many in front."""
    rng = np.random.default_rng(problem["seed"])
    *kernel, features = problem["w"]
    front = (members,) if members else ()
    shapes = (*front, *problem["x"]), (*front, *kernel, problem["x"][-1], features)
    return tuple(jnp.asarray(rng.normal(size=shape), dtype) for shape in shapes)


def agree(ours, theirs, dtype="float64"):
    """Equal up to the rounding of a sum, relative to the largest entry."""
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE[dtype] * (1 + float(jnp.abs(b).max(initial=0))))


def loss_of(form, options):
    return lambda pair: jnp.sum(jnp.sin(form(*pair, **options)))


FORMS = (convolution, convolution_reference)


def both_forms(function_of, *arguments):
    """Evaluate function_of(form)(*arguments) for ours and the reference, in one compiled program."""
    return jax.jit(lambda *arguments: tuple(function_of(form)(*arguments) for form in FORMS))(*arguments)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(max_examples=25, deadline=None)
@given(problem=problems())
def test_values_and_gradients_are_those_of_the_native_convolution(dtype, problem):
    with jax.enable_x64(dtype == "float64"):
        pair = arrays(problem, dtype)
        ours, theirs = both_forms(
            lambda form: (
                lambda *pair: (
                    form(*pair, **problem["options"]),
                    jax.grad(loss_of(form, problem["options"]))(pair),
                )
            ),
            *pair,
        )
        agree(ours, theirs, dtype)


@settings(max_examples=10, deadline=None)
@given(problem=problems())
def test_second_derivatives_agree_in_every_order_of_modes(problem):
    with jax.enable_x64(True):
        pair, along = arrays(problem, "float64"), arrays(problem | {"seed": problem["seed"] + 1}, "float64")

        def products(form):
            loss = loss_of(form, problem["options"])

            def slope(pair):
                return jax.jvp(loss, (pair,), (along,))[1]

            return (
                jax.jvp(jax.grad(loss), (pair,), (along,))[1],
                jax.grad(slope)(pair),
                jax.linearize(jax.grad(loss), pair)[1](along),
                jax.vjp(jax.grad(loss), pair)[1](along)[0],
                jax.jvp(slope, (pair,), (along,))[1],
            )

        ours, theirs = jax.jit(lambda: (products(convolution), products(convolution_reference)))()
        agree(ours, theirs)
        agree(ours[:4], ours[1:2] + ours[:3])


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0), (-1, 1)])
@settings(max_examples=4, deadline=None)
@given(problem=problems())
def test_vmap_over_images_weights_or_both_is_a_loop(axes, problem):
    with jax.enable_x64(True):
        many, one = arrays(problem, "float64", members=3), arrays(problem, "float64")
        pair = tuple(
            single if axis is None else jnp.moveaxis(batch, 0, axis)
            for batch, single, axis in zip(many, one, axes, strict=True)
        )

        def derivatives(form, *pair):
            loss = loss_of(form, problem["options"])
            slope = jax.grad(lambda pair: jnp.sum(jax.grad(loss)(pair)[0]))
            return loss(pair), jax.grad(loss)(pair), slope(pair)

        @jax.jit
        def compare(*pair):
            batched = jax.vmap(partial(derivatives, convolution), in_axes=axes)(*pair)
            # The reference members lie in memory as they are: a loop over them is the meaning of vmap.
            fronts = tuple(
                jnp.broadcast_to(a, (3, *a.shape)) if axis is None else jnp.moveaxis(a, axis, 0)
                for a, axis in zip(pair, axes, strict=True)
            )
            return batched, jax.lax.map(lambda pair: derivatives(convolution_reference, *pair), fronts)

        agree(*compare(*pair))


@pytest.mark.parametrize("inner", list(itertools.product([None, 0], repeat=2))[1:])
@pytest.mark.parametrize("outer", list(itertools.product([None, 0], repeat=2))[1:])
def test_nested_vmap_in_every_combination(inner, outer):
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        axes = [int(i == 0) + int(o == 0) for i, o in zip(inner, outer, strict=True)]
        x = jnp.asarray(rng.normal(size=(2,) * axes[0] + (1, 4, 5, 2)))
        w = jnp.asarray(rng.normal(size=(2,) * axes[1] + (3, 2, 2, 3)))

        def gradients(form):
            gradient = jax.grad(lambda x, w: loss_of(form, {"stride": 2})((x, w)), (0, 1))
            return jax.vmap(jax.vmap(gradient, in_axes=inner), in_axes=outer)(x, w)

        agree(*jax.jit(lambda: tuple(gradients(form) for form in FORMS))())


@pytest.mark.parametrize("loop", ["scan", "fori_loop", "while_loop", "map"])
def test_loops_give_the_unrolled_result_and_gradient(loop):
    with jax.enable_x64(True):
        rng = np.random.default_rng(1)
        x, ws = jnp.asarray(rng.normal(size=(2, 5, 4, 3))), jnp.asarray(rng.normal(size=(3, 3, 3, 3, 3)) / 5)

        def unrolled(x, ws):
            for w in ws:
                x = jnp.tanh(convolution_reference(x, w, padding="CIRCULAR"))
            return jnp.sum(x)

        def layer(x, w):
            return jnp.tanh(convolution(x, w, padding="CIRCULAR"))

        def looped(x, ws):
            if loop == "scan":
                return jnp.sum(jax.lax.scan(lambda x, w: (layer(x, w), None), x, ws)[0])
            if loop == "fori_loop":  # static bounds: a scan, so reverse mode works
                return jnp.sum(jax.lax.fori_loop(0, 3, lambda i, x: layer(x, ws[i]), x))
            if loop == "while_loop":
                return jnp.sum(
                    jax.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, layer(c[1], ws[c[0]])), (0, x))[1]
                )
            return jnp.sum(jax.lax.map(lambda x: layer(layer(layer(x, ws[0]), ws[1]), ws[2]), x))

        def slopes(network):
            if loop == "while_loop":  # forward mode only, in JAX
                return jax.jvp(network, (x, ws), (x, ws))
            return jax.value_and_grad(network, (0, 1))(x, ws)

        agree(*jax.jit(lambda: (slopes(looped), slopes(unrolled)))())


@pytest.mark.parametrize("padding", ["SAME", "VALID", "CIRCULAR"])
@pytest.mark.parametrize("stride", [1, 2])
def test_hessian_vector_product_matches_finite_differences(padding, stride):
    with jax.enable_x64(True):
        rng = np.random.default_rng(2)
        pair, along = (
            (jnp.asarray(rng.normal(size=(2, 6, 7, 3))), jnp.asarray(rng.normal(size=(3, 3, 3, 4)))) for _ in range(2)
        )
        gradient = jax.jit(jax.grad(loss_of(convolution, {"stride": stride, "padding": padding})))
        product = jax.jvp(gradient, (pair,), (along,))[1]
        step = 1e-5
        ahead = gradient(jax.tree.map(lambda a, d: a + step * d, pair, along))
        behind = gradient(jax.tree.map(lambda a, d: a - step * d, pair, along))
        difference = jax.tree.map(lambda a, b: (a - b) / (2 * step), ahead, behind)
        for ours, theirs in zip(product, difference, strict=True):
            assert jnp.linalg.norm(ours - theirs) <= 1e-5 * jnp.linalg.norm(theirs)


@settings(max_examples=10, deadline=None)
@given(problem=problems(), members=st.booleans())
def test_the_accelerator_forms_agree_with_the_cpu_forms(problem, members):
    with jax.enable_x64(True):
        x, w = arrays(problem, "float64", members=2 if members else 0)
        stride = problem["options"]["stride"]
        sizes = x.shape[-3:-1], w.shape[-4:-2]
        output = tuple(-(-image // step) for image, step in zip(sizes[0], stride, strict=True))
        low = tuple((size - 1) // 2 for size in sizes[1])
        geometry = Geometry(*sizes, output, stride, low)

        @jax.jit
        def compare(x, w):
            y = bind("forward", x, w, geometry)
            faces = {"forward": (x, w), "pullback": (y, w), "outer": (x, y)}
            return (
                {face: bind(face, *operands, geometry) for face, operands in faces.items()},
                {face: getattr(_convolution_native, face)(*operands, geometry) for face, operands in faces.items()},
            )

        agree(*compare(x, w))


def test_batch_axes_may_be_none_or_many():
    x, w = jnp.ones((2, 3, 4, 5, 6)), jnp.ones((3, 3, 6, 2))
    assert convolution(x, w, stride=2).shape == (2, 3, 2, 3, 2)
    np.testing.assert_allclose(convolution(x[0, 0], w), convolution(x, w)[0, 0], rtol=1e-6)


def test_one_program_whatever_the_values():
    compiled = jax.jit(lambda x, w: convolution(x, w))
    for scale in (1.0, 2.0):
        compiled(scale * jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 2, 2)))
    assert compiled._cache_size() == 1


def test_data_parallel_gradients_under_shard_map_sum_over_devices():
    mesh = jax.make_mesh((jax.device_count(),), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    share = jax.sharding.PartitionSpec("data")
    x, w = jnp.ones((2 * jax.device_count(), 4, 4, 2)), jnp.full((3, 3, 2, 2), 0.1)

    def gradient(w, x):
        return jax.grad(lambda w: jnp.sum(jnp.sin(convolution(x, w))))(w)

    sharded = jax.shard_map(
        gradient, mesh=mesh, in_specs=(jax.sharding.PartitionSpec(), share), out_specs=jax.sharding.PartitionSpec()
    )
    np.testing.assert_allclose(sharded(w, x), gradient(w, x), rtol=1e-5)


@pytest.mark.parametrize(
    ("x", "w", "options", "message"),
    [
        ((1, 4, 4, 3), (3, 3, 2, 5), {}, "3 channels and w takes 2"),
        ((4, 4), (3, 3, 2, 5), {}, "missing axes"),
        ((1, 4, 4, 3), (3, 3, 3), {}, "missing axes"),
        ((1, 4, 4, 3), (3, 3, 3, 5), {"padding": "SMAE"}, "did you mean 'SAME'"),
        ((1, 4, 4, 3), (3, 3, 3, 5), {"stride": 0}, "stride 0"),
        ((1, 4, 4, 3), (3, 3, 3, 5), {"stride": (1, 2, 3)}, "stride"),
        ((1, 2, 4, 3), (3, 3, 3, 5), {"padding": "VALID"}, "'VALID'"),
    ],
)
def test_what_cannot_be_convolved_is_refused_at_trace_time(x, w, options, message, unchecked_types):
    with pytest.raises(InputError, match=message):
        jax.eval_shape(
            lambda x, w: convolution(x, w, **options),
            jax.ShapeDtypeStruct(x, jnp.float32),
            jax.ShapeDtypeStruct(w, jnp.float32),
        )


def test_whole_numbers_are_refused(unchecked_types):
    with pytest.raises(InputError, match="floating-point"):
        convolution(jnp.ones((1, 4, 4, 3), int), jnp.ones((3, 3, 3, 2), int))
