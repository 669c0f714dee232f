"""The rate's table: what a rate that follows the training saves, and whether it beats a fixed one of the same bytes.

Three things are held against each other, on writers as devices and on pictures shared out unevenly: dense federated
averaging; each dynamic policy; and for each of these the honest baseline, a fixed rate that is chosen afterwards, such
that the bytes of the whole run, both directions counted, come to the same.
"""

from thinwire.bench.rate.cells import Entry, measure
from thinwire.bench.rate.grid import FULL, PARTS, QUICK, Size
from thinwire.bench.rate.page import write
from thinwire.bench.rate.verdicts import Verdict, verdicts

__all__ = ["FULL", "PARTS", "QUICK", "Entry", "Size", "Verdict", "measure", "verdicts", "write"]
