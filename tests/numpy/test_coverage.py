"""The page of NumPy's and JAX's names is up to date, and names that are missing say why."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.numpy.absent import ABSENT
from tests.numpy.coverage import PAGE, page


def test_the_page_is_up_to_date():
    assert PAGE.read_text() == page(), "run python -m tests.numpy.coverage"


@pytest.mark.parametrize("name", ["copyto", "float128", "ndenumerate", "loadtxt"])
def test_a_name_that_cannot_exist_says_why(name):
    why, instead = ABSENT[name]
    with pytest.raises(AttributeError) as raised:
        getattr(fnp, name)
    assert why in str(raised.value) and instead in str(raised.value)
    assert not hasattr(fnp, name)


def test_what_is_absent_is_not_there():
    top = [name for name in ABSENT if "." not in name]
    assert not [name for name in top if hasattr(fnp, name)]
    assert not [n for n in top if n in fnp.__all__]


def test_names_that_nobody_has():
    with pytest.raises(AttributeError, match=r"no attribute 'summ'. Near names: .*fnp\.sum"):
        fnp.summ  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'qqqqq'$"):
        fnp.qqqqq  # noqa: B018


def test_numpys_functions_of_traced_arrays_say_it_too():
    with pytest.raises(TypeError, match=r"np\.copyto cannot be traced: it changes its argument"):
        fnad.jit(lambda x: np.copyto(x, 0))(np.ones(3))


def test_all_public_names_are_listed():
    assert len(fnp.__all__) == len(set(fnp.__all__))
    assert all(hasattr(fnp, name) for name in fnp.__all__)
