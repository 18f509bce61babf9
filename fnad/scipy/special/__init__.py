"""Special functions, with the names of `scipy.special`; elementwise but for `logsumexp` and kin."""

from fnad.numpy.selection import sinc
from fnad.scipy.special.bessel import i0, i0e, i1, i1e
from fnad.scipy.special.box_cox import boxcox, boxcox1p
from fnad.scipy.special.error_functions import (
    erf,
    erfc,
    erfcx,
    erfinv,
    log_ndtr,
    ndtr,
    ndtri,
)
from fnad.scipy.special.exponential_integrals import exp1, expi, expn
from fnad.scipy.special.gamma_functions import (
    beta,
    betaln,
    digamma,
    factorial,
    gamma,
    gammaln,
    gammasgn,
    multigammaln,
    poch,
    polygamma,
    spence,
    zeta,
)
from fnad.scipy.special.incomplete_beta import betainc
from fnad.scipy.special.incomplete_gamma import gammainc, gammaincc
from fnad.scipy.special.logistic import (
    entr,
    expit,
    kl_div,
    log_expit,
    log_sigmoid,
    log_softmax,
    logit,
    logsumexp,
    rel_entr,
    softmax,
    xlog1py,
    xlogy,
)
from fnad.scipy.special.numbers import bernoulli

psi = digamma

__all__ = [
    "bernoulli",
    "beta",
    "betainc",
    "betaln",
    "boxcox",
    "boxcox1p",
    "digamma",
    "entr",
    "erf",
    "erfc",
    "erfcx",
    "erfinv",
    "exp1",
    "expi",
    "expit",
    "expn",
    "factorial",
    "gamma",
    "gammainc",
    "gammaincc",
    "gammaln",
    "gammasgn",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "kl_div",
    "log_expit",
    "log_ndtr",
    "log_sigmoid",
    "log_softmax",
    "logit",
    "logsumexp",
    "multigammaln",
    "ndtr",
    "ndtri",
    "poch",
    "polygamma",
    "psi",
    "rel_entr",
    "sinc",
    "softmax",
    "spence",
    "xlog1py",
    "xlogy",
    "zeta",
]
