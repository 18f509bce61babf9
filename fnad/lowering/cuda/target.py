"""What passes over plans are to know of cards."""

from fnad.lowering.cuda.rows import run_together
from fnad.lowering.target import Target

# Each kernel costs a launch, however little it does.
CARD = Target(group_bytes=1, runs_together=run_together)
