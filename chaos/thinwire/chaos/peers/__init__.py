"""The same faults for thinwire and for Flower, and what became of the results of training."""
