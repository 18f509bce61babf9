"""What passes over plans are to know of cards."""

from fnad.lowering.cuda.attention import has_kernel
from fnad.lowering.cuda.rows import run_together
from fnad.lowering.target import Target

CARD = Target(
    platform="cuda",
    group_bytes=1,  # each kernel costs a launch, however little it does
    runs_together=run_together,
    reduction_blocks=1024,  # a few for each of more than 100 multiprocessors
    reduction_threads=1 << 18,
    reduction_points=256,
    reduction_terms=1 << 14,  # half of what a block goes through at once
    reduction_unit=32,  # so that words are aligned
    cheap_branches=False,  # the host waits for the choice
    whole=has_kernel,
)
