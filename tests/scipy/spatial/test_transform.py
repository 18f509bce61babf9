"""`fnad.scipy.spatial.transform` against SciPy's."""

import itertools

import numpy as np
import pytest
import scipy.spatial.transform as reference

import fnad
from fnad import random
from fnad.scipy.spatial.transform import Rotation, Slerp
from fnad.testing import check_grads
from tests.samples.values import normal, uniform

QUAT = normal(20, 4)
R, S = Rotation.from_quat(QUAT), reference.Rotation.from_quat(QUAT)
VECTORS = normal(20, 3)
SEQUENCES = [
    "".join(axes)
    for n in (1, 2, 3)
    for axes in itertools.product("xyz", repeat=n)
    if all(a != b for a, b in itertools.pairwise(axes))
]


def assert_close(actual, expected, tolerance=1e-13):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


def assert_same_rotations(ours, theirs):
    a, b = ours.quat, theirs.as_quat()
    assert a.shape == b.shape
    assert_close(np.minimum(abs(a - b).max(-1), abs(a + b).max(-1)), 0)


def test_to_other_descriptions():
    for name in ("as_matrix", "as_rotvec", "as_mrp", "magnitude"):
        for ours, theirs in ((R, S), (R[3], S[3])):
            assert_close(getattr(ours, name)(), getattr(theirs, name)())
    assert_close(R.as_rotvec(degrees=True), S.as_rotvec(degrees=True), 1e-11)
    for options in ({}, {"canonical": True}, {"scalar_first": True}):
        assert_close(R.as_quat(**options), S.as_quat(**options))
    half_turns = np.array([[-1.0, 0, 0, 0], [0, -1, 1, 0], [0, 0, -1, 0], [1, 0, 0, -1e-3]])
    assert_close(
        Rotation.from_quat(half_turns).as_quat(canonical=True),
        reference.Rotation.from_quat(half_turns).as_quat(canonical=True),
    )


@pytest.mark.parametrize("name", ["rotvec", "mrp", "matrix"])
def test_from_other_descriptions(name):
    values = S.as_matrix() if name == "matrix" else VECTORS
    ours, theirs = (getattr(c, f"from_{name}") for c in (Rotation, reference.Rotation))
    assert_same_rotations(ours(values), theirs(values))
    assert_same_rotations(ours(values[0]), theirs(values[0]))
    if name == "matrix":  # each element of the quaternion is the largest once
        for quat in np.eye(4) + 0.1:
            matrix = reference.Rotation.from_quat(quat).as_matrix()
            assert_same_rotations(ours(matrix), theirs(matrix))
    if name == "rotvec":
        small = np.outer([0.0, 1e-9, 1e-4, 2e-3, 3e-3], VECTORS[0])
        assert_same_rotations(ours(small), theirs(small))
        assert_close(ours(small).as_rotvec(), small, 1e-16)


@pytest.mark.parametrize("seq", [s for lower in SEQUENCES for s in (lower, lower.upper())])
def test_euler_angles(seq):
    angles = uniform(-3, 3, 10, len(seq))
    assert_same_rotations(
        Rotation.from_euler(seq, angles, degrees=True),
        reference.Rotation.from_euler(seq, angles, degrees=True),
    )
    if len(seq) == 3:
        assert_close(R.as_euler(seq), S.as_euler(seq), 1e-12)
        assert_close(R.as_euler(seq, degrees=True), S.as_euler(seq, degrees=True), 1e-10)


@pytest.mark.filterwarnings("ignore:Gimbal lock")
@pytest.mark.parametrize("seq", [s for lower in SEQUENCES[9:] for s in (lower, lower.upper())])
def test_euler_angles_where_two_axes_are_parallel(seq):
    for middle in (0, np.pi) if seq[0] == seq[2] else (np.pi / 2, -np.pi / 2):
        angles = np.array([[0.3, middle, 0.5], [1.0, middle, -2.0]])
        expected = reference.Rotation.from_euler(seq, angles).as_euler(seq)
        assert_close(Rotation.from_euler(seq, angles).as_euler(seq), expected, 1e-7)


def test_what_is_done_with_rotations():
    assert_close(R.apply(VECTORS), S.apply(VECTORS))
    assert_close(R.apply(VECTORS, inverse=True), S.apply(VECTORS, inverse=True))
    assert_close(R[0].apply(VECTORS), S[0].apply(VECTORS))
    assert_close(R.apply(VECTORS[0]), S.apply(VECTORS[0]))
    assert_same_rotations(R * R[::-1], S * S[::-1])
    assert_same_rotations(R[1] * R, S[1] * S)
    assert_same_rotations(R.inv(), S.inv())
    assert_same_rotations(R.mean(), S.mean())
    weights = uniform(0, 1, 20)
    assert_same_rotations(R.mean(weights), S.mean(weights))
    assert_same_rotations(
        Rotation.concatenate([R[2], R[:3]]), reference.Rotation.concatenate([S[2], S[:3]])
    )
    assert len(R) == 20
    assert R[0].single and not R.single
    assert_same_rotations(Rotation.identity(3), reference.Rotation.identity(3))
    drawn = Rotation.random(random.key(0), 2000)
    assert_close((drawn.quat**2).sum(-1), 1)
    assert_close(drawn.apply(np.array([1.0, 0, 0])).mean(0), 0, 0.05)


def test_slerp():
    times = np.sort(uniform(0, 1, 20))
    at = np.linspace(times[0], times[-1], 30)
    ours, theirs = Slerp.init(times, R), reference.Slerp(times, S)
    assert_same_rotations(ours(at), theirs(at))
    assert_same_rotations(ours(times), theirs(times))
    assert_same_rotations(ours(at[4]), theirs(at[4]))
    assert_close(fnad.jit(lambda s, t: s(t))(ours, at).quat, ours(at).quat)


def test_transformed():
    def f(rotation, vector):
        return rotation.apply(vector)

    assert_close(fnad.vmap(f)(R, VECTORS), R.apply(VECTORS))
    assert_close(fnad.jit(fnad.vmap(f))(R, VECTORS), R.apply(VECTORS))

    def turned(rotvec):
        rotation = Rotation.from_rotvec(rotvec)
        both = rotation * R[0]
        return (both.as_rotvec() ** 2).sum() + both.as_euler("xyz").sum() + rotation.magnitude()

    check_grads(turned, (VECTORS[0],), order=2)
    there_and_back = fnad.jacobian(lambda v: Rotation.from_rotvec(v).as_rotvec())
    for v in (np.zeros(3), 1e-4 * VECTORS[0], VECTORS[0]):
        assert_close(there_and_back(v), np.eye(3), 1e-11)
    single = Rotation.from_rotvec(VECTORS.astype(np.float32))
    assert single.as_matrix().dtype == single.as_euler("zyx").dtype == np.float32


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"quat must have shape \(4\) or \(N, 4\), got \(3,\)"):
        Rotation.from_quat(np.ones(3))
    with pytest.raises(ValueError, match="seq must be 3 letters of 'xyz' or of 'XYZ'"):
        R.as_euler("xy")
    for seq in ("xYz", "xxy", "xya", ""):
        with pytest.raises(ValueError, match="seq must be 1 or 2 or 3 letters"):
            Rotation.from_euler(seq, np.ones(3))
    with pytest.raises(ValueError, match="must have 2 columns"):
        Rotation.from_euler("xy", np.ones(3))
    with pytest.raises(TypeError, match="a single Rotation has no length"):
        len(R[0])
    with pytest.raises(TypeError, match="seq must be a string of axes, got NoneType"):
        Rotation.from_euler(None, np.ones(3))
    with pytest.raises(TypeError, match="unsupported operand"):
        R * 3
    with pytest.raises(ValueError, match="weights must not be negative"):
        R.mean(-np.ones(20))
    with pytest.raises(ValueError, match="there are no rotations"):
        R[:0].mean()
    with pytest.raises(ValueError, match="weights must have shape"):
        R.mean(np.ones(3))
    with pytest.raises(ValueError, match="at least 2 elements"):
        Slerp.init(np.ones(1), R[:1])
    with pytest.raises(ValueError, match="times must be strictly ascending"):
        Slerp.init(np.ones(20), R)


@pytest.mark.parametrize(("dtype", "size"), [("f8", 1e200), ("f8", 1e-200), ("f4", 1e-30)])
def test_quaternions_of_any_length(dtype, size):
    quat = (np.array([1.0, -2.0, 2.0, 4.0]) * size).astype(dtype)
    expected = np.array([0.2, -0.4, 0.4, 0.8])
    np.testing.assert_allclose(Rotation.from_quat(quat).as_quat(), expected, 1e-6)


def test_matrices_that_reflect_are_no_rotations():
    matrices = np.stack([np.diag([1.0, 1.0, -1.0]), np.eye(3), np.zeros((3, 3))])
    lost = np.isnan(Rotation.from_matrix(matrices).as_quat())
    np.testing.assert_array_equal(lost, np.array([[True], [False], [True]]) * np.ones(4, bool))
