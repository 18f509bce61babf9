"""Bad input: the exact class of the error, and the sentence that helps."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import errors, lax
from fnad.extend import Primitive, ShapedArray, elementwise
from fnad.testing import Sample, check_grads, check_primitive

X = np.array([0.3, -0.7, 1.2])


def raises(error, *sentences):
    """Expect exactly this class, and every one of the sentences in the message and its notes."""

    class Expectation:
        def __enter__(self):
            self.inner = pytest.raises(error)
            self.info = self.inner.__enter__()

        def __exit__(self, *exc):
            done = self.inner.__exit__(*exc)
            assert self.info.type is error
            text = "\n".join([str(self.info.value), *getattr(self.info.value, "__notes__", [])])
            for sentence in sentences:
                assert sentence in text, f"{sentence!r} not in:\n{text}"
            return done

    return Expectation()


def this_line(offset=0):
    """``file:line`` of the caller, as messages name it."""
    import inspect

    return f"test_errors.py:{inspect.currentframe().f_back.f_lineno + offset}"


class TestGrad:
    def test_loss_is_not_scalar(self):
        with raises(TypeError, "grad of <lambda> needs a scalar result, got f64[3]", ".sum()"):
            fnad.grad(lambda x: x * 2)(X)

    def test_loss_is_a_pytree(self):
        with raises(TypeError, "one scalar result, got the pytree", "has_aux=True"):
            fnad.grad(lambda x: (fnp.sum(x), x))(X)

    def test_integer_input(self):
        with raises(
            TypeError, "needs floating inputs, but argument 0 has type i64*[]", "allow_int"
        ):
            fnad.grad(lambda x: x * 2.0)(3)

    def test_integer_leaf_is_named(self):
        with raises(TypeError, "argument 1['step'] has type i64[3]"):
            fnad.grad(lambda x, p: x, argnums=1)(1.0, {"w": 1.0, "step": np.arange(3)})

    def test_argnums_out_of_range(self):
        with raises(
            TypeError, "argnums=2 asks for positional argument 2", "2 positional arguments"
        ):
            fnad.grad(lambda x, y: x, argnums=2)(1.0, 2.0)

    @pytest.mark.parametrize("transform", [fnad.grad, fnad.jacfwd, fnad.jacrev])
    def test_argnums_of_another_type(self, transform):
        with raises(TypeError, "of <lambda>: argnums must be an integer or a sequence", "got 'x'"):
            transform(lambda x: x, argnums="x")(1.0)

    def test_argnums_of_numpy(self):
        gradients = fnad.grad(lambda x, y: x * y, [0, np.int64(1)])(3.0, 2.0)
        assert gradients == (2.0, 3.0)
        assert fnad.grad(lambda x, y: x * y, np.int64(1))(3.0, 2.0) == 3.0

    def test_has_aux_without_pair(self):
        with raises(TypeError, "must return a pair (out, aux) because has_aux=True"):
            fnad.grad(lambda x: fnp.sum(x), has_aux=True)(X)

    def test_complex_loss(self):
        with raises(TypeError, "needs a real floating scalar result, got c128"):
            fnad.grad(lambda x: x * 1j)(1.0)

    def test_holomorphic_with_real_input(self):
        with raises(TypeError, "holomorphic=True needs complex inputs"):
            fnad.grad(lambda x: x, holomorphic=True)(1.0)

    def test_result_is_no_array(self):
        with raises(TypeError, "returned 'text' of type str", "must return arrays"):
            fnad.grad(lambda x: "text")(1.0)

    def test_argument_is_no_array(self):
        with raises(TypeError, "'text' of type str is not an array", "pytrees"):
            fnad.grad(lambda x: 1.0)("text")

    def test_object_array(self):
        with raises(TypeError, "arrays of dtype object cannot be traced"):
            fnad.grad(lambda x: 1.0)(np.array([1, "a"], object))

    def test_integer_tangent_of_an_integer(self):
        with raises(TypeError, "each tangent must be np.zeros((), fnad.float0)", "got int64"):
            fnad.jvp(lambda x: x * 2.0, (1,), (1,))

    def test_integer_result(self):
        with raises(TypeError, "needs a real floating scalar result, got i64[]"):
            fnad.grad(lambda x: fnp.argmax(x))(X)


class TestVjpJvp:
    def test_tangent_of_wrong_shape(self):
        with raises(TypeError, "must have the shape and dtype of the primal, f64[3]", "float64[2]"):
            fnad.jvp(fnp.sin, (X,), (np.ones(2),))

    def test_tangent_of_wrong_dtype(self):
        with raises(TypeError, "must have the shape and dtype of the primal", "float32[3]"):
            fnad.jvp(fnp.sin, (X,), (X.astype(np.float32),))

    def test_tangent_of_wrong_structure(self):
        with raises(TypeError, "primals and tangents must have the same pytree structure"):
            fnad.jvp(lambda p: p["a"], ({"a": X},), ([X],))

    def test_primals_without_tuple(self):
        with raises(TypeError, "jvp takes primals and tangents as tuples"):
            fnad.jvp(fnp.sin, X, X)

    def test_cotangent_of_wrong_structure(self):
        _, pull = fnad.vjp(lambda x: {"a": x}, X)
        with raises(TypeError, "must have the structure of the result"):
            pull([X])

    def test_cotangent_of_wrong_shape(self):
        _, pull = fnad.vjp(fnp.sin, X)
        with raises(TypeError, "each cotangent", "f64[3]"):
            pull(np.ones(4))

    def test_linearized_function_of_wrong_structure(self):
        _, push = fnad.linearize(lambda x, y: x + y, X, X)
        with raises(TypeError, "takes tangents of the structure of its arguments"):
            push(X)

    def test_jacobian_of_integers(self):
        with raises(TypeError, "jacfwd needs floating arguments, got i64[3]"):
            fnad.jacfwd(lambda x: x * 2.0)(np.arange(3))
        with raises(TypeError, "jacrev needs floating results, got i64[]", "has_aux=True"):
            fnad.jacrev(lambda x: (x, 1))(X)


class TestVmap:
    def test_sizes_disagree(self):
        with raises(ValueError, "mapped axes have different lengths", "args[0]: 3", "args[1]: 2"):
            fnad.vmap(lambda x, y: x + y)(X, np.ones(2))

    def test_too_few_in_axes(self):
        with raises(ValueError, "in_axes has 1 entries", "2 positional arguments"):
            fnad.vmap(lambda x, y: x, in_axes=(0,))(X, X)

    def test_axis_out_of_range(self):
        with raises(ValueError, "asks for axis 1 of the argument", "which has shape (3,)"):
            fnad.vmap(lambda x: x, in_axes=1)(X)

    def test_scalar_argument(self):
        with raises(ValueError, "asks for axis 0", "has shape ()", "give None in in_axes"):
            fnad.vmap(lambda x: x)(1.0)

    def test_in_axes_is_no_prefix(self):
        with raises(ValueError, "in_axes[0]", "prefix of the corresponding value"):
            fnad.vmap(lambda p: p["a"], in_axes=({"b": 0},))({"a": X})

    def test_nothing_is_mapped(self):
        with raises(ValueError, "no argument is mapped", "give axis_size"):
            fnad.vmap(lambda x: x, in_axes=None)(X)

    def test_out_axes_none_for_mapped_result(self):
        with raises(ValueError, "out_axes is None for a result that depends on the mapped axis"):
            fnad.vmap(lambda x: x, out_axes=None)(X)

    def test_out_axes_out_of_range(self):
        with raises(ValueError, "out_axes asks for axis 3 of a result with 1 axes"):
            fnad.vmap(lambda x: x, out_axes=3)(X)

    def test_bool_of_batched_value(self):
        def f(x):
            if x > 0:
                return x
            return -x

        with raises(errors.TracerBoolConversionError, "vmap of f", "fnp.where"):
            fnad.vmap(f)(X)

    def test_unbound_axis_name(self):
        with raises(NameError, "unbound axis name: 'i'", "axis_name='i'"):
            lax.psum(1.0, "i")


class TestTracing:
    def test_bool_in_jit_names_the_users_line(self):
        line = this_line(+4)

        @fnad.jit
        def f(x):
            if x > 0:
                return x
            return -x

        sentences = ("if, while", "jit of f", line, "fnp.where", "lax.cond", "static_argnums")
        with raises(errors.TracerBoolConversionError, *sentences):
            f(1.0)

    def test_float_in_jit(self):
        with raises(errors.ConcretizationTypeError, this_line(+1), "float, int"):
            fnad.jit(lambda x: float(x))(1.0)

    def test_integer_in_jit(self):
        with raises(errors.TracerIntegerConversionError, "range", "lax.fori_loop", this_line(+1)):
            fnad.jit(lambda n: sum(range(n)))(3)

    def test_array_conversion(self):
        with raises(errors.TracerArrayConversionError, this_line(+1), "fnp.stack"):
            fnad.jit(lambda x: np.array([x, x]))(1.0)

    def test_an_array_indexed_by_a_traced_one(self):
        with raises(errors.TracerArrayConversionError, this_line(+1), "fnp.at(x)[i].get()"):
            fnad.jit(lambda i: X[i[None]])(0)
        compiled = fnad.jit(lambda i: fnp.at(X)[i].get())
        np.testing.assert_array_equal(compiled(np.array([1, 0])), X[[1, 0]])

    def test_array_conversion_in_grad(self):
        """Also where the value is known: silently it would be cut out of the derivative."""
        with raises(errors.TracerArrayConversionError, "grad of", "numpy.ndarray"):
            fnad.grad(lambda x: np.asarray(x).sum())(X)

    def test_boolean_mask_index(self):
        with raises(errors.NonConcreteBooleanIndexError, "mask", "fnp.where"):
            fnad.jit(lambda x: x[x > 0])(X)

    def test_leaked_tracer(self):
        leaked = []
        fnad.jit(lambda x: leaked.append(x * 2) or x)(1.0)
        line = this_line(-1)
        with raises(errors.UnexpectedTracerError, "jit of <lambda>", line, "returning them"):
            leaked[0] + 1

    def test_leaked_tracer_in_another_trace(self):
        leaked = []
        fnad.grad(lambda x: leaked.append(x) or x)(1.0)
        with raises(errors.UnexpectedTracerError, "grad of <lambda>"):
            fnad.jit(lambda x: x + leaked[0])(1.0)

    def test_tracer_in_another_thread(self):
        def f(x):
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(fnp.sin, x).result()

        with raises(errors.UnexpectedTracerError, "another thread than that in which jit of f"):
            fnad.jit(f)(1.0)

    def test_assignment_into_tracer(self):
        def f(x):
            x[0] = 1.0
            return x

        with raises(TypeError, "cannot be changed in place", "fnp.at(x)[index].set(value)"):
            fnad.jit(f)(X)

    @pytest.mark.parametrize("name", ["sort", "fill", "partition", "put", "resize"])
    def test_methods_that_work_in_place(self, name):
        with raises(TypeError, f"x.{name}(...) changes x in place", "write x = fnp."):
            fnad.jit(lambda x: getattr(x, name)(0))(X)

    def test_traced_sizes(self):
        functions = (fnp.zeros, lambda n: fnp.full(n, 2.0), lambda n: fnp.broadcast_to(1.0, n))
        for function in (*functions, lambda n: fnp.tile(X, n), lambda n: fnp.reshape(X, n)):
            with raises(errors.TracerIntegerConversionError, "a shape", "static_argnums"):
                fnad.jit(function)(3)

    def test_lines_within_numpy_are_not_the_users(self):
        with raises(errors.TracerArrayConversionError, f"at: {__file__}:", this_line(+1)):
            fnad.jit(lambda x: np.sum([x, x]))(1.0)
        with raises(errors.TracerArrayConversionError, f"at: {__file__}:", this_line(+1)):
            fnad.jit(lambda x: np.testing.assert_allclose(x, x))(1.0)

    def test_ufuncs_of_scipy(self):
        from scipy import special

        with raises(TypeError, "scipy.special.gammaln cannot", "fnad.scipy.special.gammaln(...)"):
            fnad.jit(lambda x: special.gammaln(x))(X)

    def test_hash_of_tracer(self):
        with raises(TypeError, "cannot be hashed", "static argument"):
            fnad.jit(lambda x: {x: 1}[x])(1.0)

    def test_iteration_over_scalar(self):
        with raises(TypeError, "iteration over a traced scalar: it has no axes"):
            fnad.jit(lambda x: list(x))(1.0)

    def test_shapes_that_do_not_broadcast(self):
        with raises(ValueError, "add: operands of shapes (3,), (2,) cannot be broadcast together"):
            fnad.jit(lambda x: x + np.ones(2))(X)

    def test_errors_of_primitives_name_the_users_line(self):
        with raises(TypeError, "equal shapes", "f64[3], f64[2]", this_line(+1)):
            fnad.jit(lambda x: lax.add(x, np.ones(2)))(X)

    def test_numpy_function_that_cannot_be_traced(self):
        with raises(TypeError, "np.busday_count cannot be traced", this_line(+1), "would need"):
            fnad.jit(lambda x: np.busday_count(x, x))(1.0)

    def test_result_is_no_array(self):
        with raises(TypeError, "f returned", "at ['a'][1]", "type object"):

            @fnad.jit
            def f(x):
                return {"a": [x, object()]}

            f(1.0)


class TestCheckpoint:
    def test_policy_is_no_function(self):
        with raises(TypeError, "checkpoint of sin: policy must be a function", "got 'dots'"):
            fnad.checkpoint(fnp.sin, policy="dots")


class TestNames:
    """What users of JAX and Optax look for, and where it is."""

    @pytest.mark.parametrize(
        ("module", "name", "where"),
        [
            (fnad, "tree_map", "it is fnad.tree.map"),
            (fnad, "tree_util", "fnad.tree"),
            (fnad, "Array", "numpy.ndarray"),
            (fnad, "pmap", "fnad.vmap"),
            (fnad.tree, "tree_leaves", "it is fnad.tree.leaves"),
            (fnad.optim, "softmax_cross_entropy", "fnad.nn.softmax_cross_entropy"),
        ],
    )
    def test_elsewhere(self, module, name, where):
        with raises(AttributeError, f"module '{module.__name__}' has no attribute '{name}': "):
            getattr(module, name)
        with raises(AttributeError, where):
            getattr(module, name)

    def test_nowhere(self):
        name = "nowhere"
        for module in (fnad, fnad.tree, fnad.optim):
            with pytest.raises(AttributeError) as failure:
                getattr(module, name)
            assert str(failure.value) == f"module '{module.__name__}' has no attribute {name!r}"

    def test_modules_are_there_without_an_import(self):
        code = "import fnad; print(fnad.testing.check_grads, fnad.train, fnad.data)"
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


class TestJit:
    def test_unhashable_static_argument(self):
        f = fnad.jit(lambda x, options: x, static_argnums=1)
        with raises(ValueError, "static", "hash", "list"):
            f(1.0, [1, 2])

    def test_static_argnums_out_of_range(self):
        with pytest.raises((ValueError, TypeError), match="static_argnums"):
            fnad.jit(lambda x: x, static_argnums=3)(1.0)

    def test_static_arguments_of_another_type(self):
        with raises(TypeError, "jit of <lambda>: static_argnums must be an integer", "got 'x'"):
            fnad.jit(lambda x: x, static_argnums="x")
        with raises(TypeError, "jit of <lambda>: static_argnames must be a string", "got 0"):
            fnad.jit(lambda x: x, static_argnames=0)

    def test_integers_beyond_64_bits(self):
        f = fnad.jit(lambda x: x)
        for value in (2**80, 1, 2, 3, -(2**63) - 1):  # in the second call on, by machine code
            if abs(value) < 4:
                assert f(value) == value
                continue
            with raises(OverflowError, str(value), "does not fit into an int64", "np.uint64"):
                f(value)

    def test_string_argument(self):
        with raises(TypeError, "'mean' of type str is not an array"):
            fnad.jit(lambda x, mode: x)(X, "mean")

    def test_compiled_program_checks_its_arguments(self):
        compiled = fnad.jit(lambda x: x + 1).lower(X).compile()
        with raises(TypeError, "f64[3]"):
            compiled(np.ones(4))

    def test_unknown_stage(self):
        with raises(ValueError, "stage", "llvm"):
            fnad.jit(lambda x: x).lower(X).as_text("ptx")


class TestVocabulary:
    def test_matmul_shapes(self):
        with raises(ValueError, "(2, 3)", "(2, 3)"):
            fnp.matmul(np.ones((2, 3)), np.ones((2, 3)))

    def test_reshape(self):
        with pytest.raises((ValueError, TypeError), match=r"\(3,\).*\(2, 2\)"):
            fnp.reshape(X, (2, 2))

    def test_axis_out_of_range(self):
        with raises(np.exceptions.AxisError, "axis 2 is out of bounds"):
            fnp.sum(X, axis=2)

    def test_concatenate_shapes(self):
        with pytest.raises((ValueError, TypeError), match="concatenate"):
            fnp.concatenate([np.ones((2, 3)), np.ones((2, 2))], axis=0)

    def test_index_out_of_range(self):
        with raises(IndexError, "index 5 is out of bounds for axis 0 with size 3"):
            fnad.jit(lambda x: x[5])(X)


class TestControlFlow:
    def test_carry_changes_type(self):
        with raises(TypeError, "scan: the carry", "taken:    f64", "returned: f64[3]"):
            lax.scan(lambda c, x: (c * X, x), 1.0, X)

    def test_carry_changes_structure(self):
        with raises(TypeError, "scan", "carry"):
            lax.scan(lambda c, x: ((c, c), x), 1.0, X)

    def test_body_returns_no_pair(self):
        with raises(TypeError, "scan", "pair"):
            lax.scan(lambda c, x: c, 1.0, X)

    def test_lengths_disagree(self):
        with raises(ValueError, "scan", "length"):
            lax.scan(lambda c, x: (c, None), 1.0, (np.ones(2), np.ones(3)))

    def test_no_length(self):
        with raises(ValueError, "scan", "length"):
            lax.scan(lambda c, x: (c, None), 1.0, None)

    def test_branches_disagree(self):
        with raises(TypeError, "cond", "f64[3]"):
            fnad.jit(lambda p: lax.cond(p, lambda: 1.0, lambda: X))(True)

    def test_branches_disagree_in_structure(self):
        with raises(TypeError, "cond"):
            fnad.jit(lambda p: lax.cond(p, lambda: 1.0, lambda: (1.0, 2.0)))(True)

    def test_condition_is_no_scalar(self):
        with raises(TypeError, "while_loop", "scalar"):
            lax.while_loop(lambda x: x > 0, lambda x: x - 1, X)

    def test_while_body_changes_type(self):
        with raises(TypeError, "while_loop", "f64[3]"):
            lax.while_loop(lambda x: True, lambda x: x * X, 1.0)

    def test_checkpoints_of_while_loop(self):
        f = lambda **options: lax.while_loop(lambda c: c < 5.0, lambda c: c * 2, 1.0, **options)
        with raises(ValueError, "while_loop", "max_steps must be positive, got 0"):
            f(max_steps=0)
        with raises(ValueError, "while_loop", "levels must be positive, got 0"):
            f(max_steps=5, levels=0)

    def test_transpose_of_a_while_loop_that_is_not_linear(self):
        f = lambda x: lax.while_loop(lambda c: c < 5.0, lambda c: c * 2, x)
        with raises(TypeError, "while_loop", "the condition depends on what"):
            fnad.linear_transpose(f, 1.0)(1.0)

    def test_switch_without_branches(self):
        with raises(ValueError, "switch", "branch"):
            lax.switch(0, [])


class TestCustomRules:
    def test_custom_jvp_without_rule(self):
        @fnad.custom_jvp
        def f(x):
            return x

        with raises(AttributeError, "no rule is defined for the custom_jvp function f", "defjvp"):
            fnad.grad(f)(1.0)

    def test_custom_vjp_without_rules(self):
        @fnad.custom_vjp
        def f(x):
            return x

        with raises(AttributeError, "no rules are defined for the custom_vjp function f", "defvjp"):
            fnad.grad(f)(1.0)

    def custom_vjp(self, fwd, bwd):
        @fnad.custom_vjp
        def f(x, y):
            return x * y

        f.defvjp(fwd, bwd)
        return f

    def test_bwd_returns_too_few(self):
        f = self.custom_vjp(lambda x, y: (x * y, (x, y)), lambda res, g: (g,))
        with raises(TypeError, "the backward rule", "of f must return a tuple with one cotangent"):
            fnad.grad(f)(1.0, 2.0)

    def test_bwd_returns_wrong_shape(self):
        f = self.custom_vjp(lambda x, y: (x * y, None), lambda res, g: (X, g))
        with raises(TypeError, "the backward rule", "type f64[3] for the argument at [0]"):
            fnad.grad(f)(1.0, 2.0)

    def test_fwd_returns_no_pair(self):
        f = self.custom_vjp(lambda x, y: x * y, lambda res, g: (g, g))
        with raises(TypeError, "the forward rule", "must return a pair (out, residuals)"):
            fnad.grad(f)(1.0, 2.0)

    def test_fwd_returns_another_type(self):
        f = self.custom_vjp(lambda x, y: (X, None), lambda res, g: (g, g))
        with raises(TypeError, "the forward rule", "an output of type f64[3], but f returns f64"):
            fnad.grad(f)(1.0, 2.0)

    def test_jvp_rule_returns_wrong_tangent(self):
        @fnad.custom_jvp
        def f(x):
            return x * 2

        f.defjvp(lambda primals, tangents: (f(*primals), X))
        with raises(TypeError, "the jvp rule", "tangent output of type f64[3], but f returns f64"):
            fnad.grad(f)(1.0)


class TestPrimitives:
    def twice(self, **rules):
        p = Primitive("twice", "2 x")
        p.type_rule(lambda x: x)
        p.evaluate(lambda x: 2 * x)
        for name, rule in rules.items():
            getattr(p, name)(rule)
        return p

    def test_missing_jvp(self):
        with raises(errors.MissingRuleError, "primitive 'twice' has no jvp rule", "@twice.jvp"):
            fnad.grad(lambda x: self.twice().bind(x))(1.0)

    def test_missing_transpose(self):
        p = self.twice()
        p.linear()
        with raises(errors.MissingRuleError, "primitive 'twice' has no transpose rule"):
            fnad.grad(lambda x: p.bind(x))(1.0)

    def test_missing_batch(self):
        with raises(
            errors.MissingRuleError, "primitive 'twice' has no batch rule", "vmap needs it"
        ):
            fnad.vmap(lambda x: self.twice().bind(x))(X)

    def test_missing_lower(self):
        with raises(errors.MissingRuleError, "primitive 'twice' has no lower rule", "jit needs it"):
            fnad.jit(lambda x: self.twice().bind(x))(X)

    def test_missing_type_rule(self):
        with raises(errors.MissingRuleError, "primitive 'bare' has no type_rule rule"):
            Primitive("bare").bind(1.0)

    def test_rule_of_wrong_arity_is_named_at_definition(self):
        with raises(errors.RuleError, "the jvp rule of primitive 'twice'", "2"):
            self.twice(jvp=lambda x: x)

    def test_rule_that_is_no_function(self):
        with raises(errors.RuleError, "the batch rule of primitive 'twice' must be a function"):
            self.twice(batch=3)

    def test_type_rule_returns_no_type(self):
        p = Primitive("odd")
        p.type_rule(lambda x: "f64[3]")
        with raises(errors.RuleError, "type_rule of primitive 'odd' must return a ShapedArray"):
            p.bind(1.0)

    def test_jvp_returns_wrong_tangent(self):
        p = self.twice(jvp=lambda primals, tangents: (primals[0], X))
        with pytest.raises(errors.RuleError, match="jvp"):
            fnad.jvp(lambda x: p.bind(x), (1.0,), (1.0,))

    def test_transpose_returns_too_many(self):
        p = self.twice(transpose=lambda ct, x: [ct, ct])
        p.linear()
        with raises(errors.RuleError, "the transpose rule of primitive 'twice'", "1 cotangents"):
            fnad.grad(lambda x: p.bind(x))(1.0)

    def test_batch_returns_wrong_shape(self):
        p = self.twice(batch=lambda args, batched, axis: (fnp.sum(args[0]), True))
        with raises(errors.RuleError, "the batch rule of primitive 'twice'", "batch axis first"):
            fnad.vmap(lambda x: p.bind(x))(X)

    def test_evaluate_breaks_the_type_rule(self):
        p = self.twice(evaluate=lambda x: X)
        with raises(
            errors.RuleError, "the evaluate rule of primitive 'twice'", "type_rule says f64"
        ):
            fnad.grad(lambda x: p.bind(fnad.stop_gradient(x)) * x)(1.0)

    def test_wrong_number_of_derivatives(self):
        with raises(errors.RuleError, "derivatives"):
            elementwise("odd", "x + y", lambda b, x, y: x + y, derivatives=[None], kinds="f")

    def test_operands_of_different_shapes(self):
        p = elementwise("plus", "x + y", lambda b, x, y: x + y, derivatives=[None, None], kinds="f")
        with raises(TypeError, "plus: operands must have equal shapes", "f64[3], f64[2]"):
            p.bind(X, np.ones(2))

    def test_operands_of_wrong_kind(self):
        p = elementwise("half", "x / 2", lambda b, x: x / 2, derivatives=[None], kinds="f")
        with raises(TypeError, "half: operands of dtype int64 are not supported"):
            p.bind(np.arange(3))


class TestChecks:
    """check_primitive blames the rule that is wrong."""

    def cube(self, **changes):
        parts = {
            "scalar": lambda b, x: x * x * x,
            "derivatives": [lambda t, ans, x: t * 3.0 * x * x],
            "kinds": "f",
            **changes,
        }
        return elementwise("cube", "x**3", **parts)

    def check(self, p, **options):
        check_primitive(p, [Sample((X,), **options)])

    def test_right(self):
        self.check(self.cube(), reference=lambda x: x * x * x)

    def test_wrong_derivative(self):
        p = self.cube(derivatives=[lambda t, ans, x: t * 2.0 * x * x])
        with raises(AssertionError, "the jvp rule of primitive 'cube' forward mode disagrees"):
            self.check(p)

    def test_wrong_evaluate(self):
        with raises(AssertionError, "the evaluate rule of primitive 'cube' disagrees"):
            self.check(self.cube(), reference=lambda x: x * x)

    def test_wrong_type(self):
        p = Primitive("same", "x")
        p.type_rule(lambda x: ShapedArray(x.shape, np.dtype(np.float64)))
        p.evaluate(lambda x: x)
        with raises(AssertionError, "type_rule rule of primitive 'same' says f64[3]", "f16[3]"):
            self.check(p)

    def test_wrong_batch(self):
        p = self.cube()
        p.batch(lambda args, batched, axis: (p.bind(args[0][::-1]), True))
        with raises(AssertionError, "the batch rule of primitive 'cube' disagrees with a loop"):
            self.check(p)

    def test_wrong_lowering(self):
        p = self.cube()
        p.lower(lambda b, x: b.compute(x.shape, x.dtype, x.at))
        with raises(AssertionError, "the lower rule of primitive 'cube' disagrees with evaluation"):
            self.check(p)

    def test_wrong_transpose(self):
        p = Primitive("half", "x / 2")
        p.type_rule(lambda x: x)
        p.evaluate(lambda x: x / 2)
        p.linear()
        p.transpose(lambda ct, x: [ct])
        with raises(AssertionError, "the transpose rule of primitive 'half' breaks <vjp(ct), v>"):
            self.check(p)

    def test_tolerance_without_reason(self):
        with raises(ValueError, "must give the reason"):
            Sample((X,), rtol=1e-3)

    def test_check_grads_names_the_mode(self):
        @fnad.custom_vjp
        def wrong(x):
            return fnp.sin(x)

        wrong.defvjp(lambda x: (fnp.sin(x), x), lambda x, g: (g * x,))
        with raises(AssertionError, "vjp: reverse mode disagrees with central differences"):
            check_grads(wrong, (X,), order=1, modes=["rev"])

    def test_check_grads_of_unknown_mode(self):
        with raises(ValueError, "modes must be some of 'fwd' and 'rev'"):
            check_grads(fnp.sin, (X,), modes=("reverse",))


class TestTree:
    def test_structures_disagree(self):
        with raises(ValueError, "the trees disagree at ['a']"):
            fnad.tree.map(lambda x, y: x, {"a": (1, 2)}, {"a": 1.0})

    def test_too_few_leaves(self):
        with raises(ValueError, "has 2 leaves, but 1 were given"):
            fnad.tree.unflatten(fnad.tree.structure((1, 2)), [1])

    def test_unsortable_keys(self):
        with raises(ValueError, "must be sortable"):
            fnad.tree.flatten({1: 2, "a": 3})


class TestSize:
    """What no machine has the memory or the frames for."""

    def test_functions_nested_too_deeply(self):
        f = fnp.sin
        for _ in range(300):
            f = partial(lambda g, x: lax.cond(x > 0, g, lambda y: y * 2, x), f)
        for function in (f, fnad.jit(f), fnad.grad(f)):
            with raises(RecursionError, "nested more deeply", "test_errors.py:", "lax.scan"):
                function(1.0)

    def test_more_elements_than_addresses(self):
        f = lambda x: fnp.sum(fnp.broadcast_to(x, (2**40, 2**30)))
        for function in (f, fnad.jit(f), fnad.grad(f)):
            with raises(ValueError, "shape (1099511627776, 1073741824)", "2**63"):
                function(1.0)
        with raises(ValueError, this_line(-4)):
            fnad.jit(f)(1.0)

    def test_more_than_the_memory(self):
        f = lambda x: fnp.sort(fnp.broadcast_to(x, (2**20, 2**25)))
        with raises(errors.OutOfMemoryError, "f64[1048576,33554432], sort", this_line(-1)):
            fnad.jit(f)(1.0)
        with raises(np._core._exceptions._ArrayMemoryError, this_line(-3)):
            fnad.grad(lambda x: fnp.sum(f(x)))(1.0)


def test_every_error_can_be_caught_as_a_standard_one():
    for name, error in vars(errors).items():
        if isinstance(error, type) and issubclass(error, errors.ConcretizationTypeError):
            assert issubclass(error, TypeError), name


def test_internal_errors_ask_for_a_report():
    assert "Please report it" in str(errors.InternalError("the invariant"))


def test_partial_functions_are_named():
    def loss(scale, x):
        return x * scale

    with raises(TypeError, "grad of loss needs a scalar result"):
        fnad.grad(partial(loss, 2.0))(X)
