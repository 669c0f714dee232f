"""The delayed update's table: how long each method needs to one accuracy on CIFAR-10, on thin links.

The target of a setting is fixed before any method runs: 95 % of what synchronous dense FedAvg reaches in a given number
of rounds. Every run is a simulation with the product's own cores; it ends at its target, and its history is stored.
"""

from thinwire.bench.delayed.cells import Entry, measure
from thinwire.bench.delayed.grid import FULL, PARTS, QUICK, of_methods, places, quick_places
from thinwire.bench.delayed.page import write

__all__ = ["FULL", "PARTS", "QUICK", "Entry", "measure", "of_methods", "places", "quick_places", "write"]
