"""Special functions, with the names of `scipy.special`; elementwise but for `logsumexp` and kin."""

from fnad.numpy.selection import sinc
from fnad.scipy.special.bessel import i0, i0e, i1, i1e
from fnad.scipy.special.bessel_first_second import j0, j1, y0, y1
from fnad.scipy.special.bessel_modified_second import k0, k0e, k1, k1e
from fnad.scipy.special.bessel_orders import bessel_jn
from fnad.scipy.special.bessel_second_orders import kn, yn
from fnad.scipy.special.box_cox import boxcox, boxcox1p
from fnad.scipy.special.complex_gamma import loggamma
from fnad.scipy.special.differences import cosm1, exprel
from fnad.scipy.special.elliptic import ellipe, ellipk, ellipkm1
from fnad.scipy.special.error_functions import (
    erf,
    erfc,
    erfcx,
    erfi,
    erfinv,
    log_ndtr,
    ndtr,
    ndtri,
)
from fnad.scipy.special.exponential_integrals import exp1, expi, expn
from fnad.scipy.special.faddeeva import dawsn, wofz
from fnad.scipy.special.fresnel_integrals import fresnel
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
)
from fnad.scipy.special.hypergeometric import hyp1f1, hyp2f1
from fnad.scipy.special.incomplete_beta import betainc, betaincc
from fnad.scipy.special.incomplete_gamma import gammainc, gammaincc
from fnad.scipy.special.lambert import lambertw
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
from fnad.scipy.special.numbers import bernoulli, binom, comb
from fnad.scipy.special.owens_function import owens_t
from fnad.scipy.special.riemann_zeta import zeta, zetac
from fnad.scipy.special.spherical_harmonics import sph_harm_y
from fnad.scipy.special.trigonometric_integrals import shichi, sici

psi = digamma

__all__ = [
    "bernoulli",
    "bessel_jn",
    "beta",
    "betainc",
    "betaincc",
    "betaln",
    "binom",
    "boxcox",
    "boxcox1p",
    "comb",
    "cosm1",
    "dawsn",
    "digamma",
    "ellipe",
    "ellipk",
    "ellipkm1",
    "entr",
    "erf",
    "erfc",
    "erfcx",
    "erfi",
    "erfinv",
    "exp1",
    "expi",
    "expit",
    "expn",
    "exprel",
    "factorial",
    "fresnel",
    "gamma",
    "gammainc",
    "gammaincc",
    "gammaln",
    "gammasgn",
    "hyp1f1",
    "hyp2f1",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "j0",
    "j1",
    "k0",
    "k0e",
    "k1",
    "k1e",
    "kl_div",
    "kn",
    "lambertw",
    "log_expit",
    "log_ndtr",
    "log_sigmoid",
    "log_softmax",
    "loggamma",
    "logit",
    "logsumexp",
    "multigammaln",
    "ndtr",
    "ndtri",
    "owens_t",
    "poch",
    "polygamma",
    "psi",
    "rel_entr",
    "shichi",
    "sici",
    "sinc",
    "softmax",
    "spence",
    "sph_harm_y",
    "wofz",
    "xlog1py",
    "xlogy",
    "y0",
    "y1",
    "yn",
    "zeta",
    "zetac",
]
