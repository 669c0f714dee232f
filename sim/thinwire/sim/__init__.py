"""A whole fleet in one process and in virtual time: the product's own cores, joined by links that are arithmetic."""
