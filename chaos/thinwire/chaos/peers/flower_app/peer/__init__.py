"""A Flower app whose results are numbered; it runs in Flower's own environment, never in thinwire's."""
