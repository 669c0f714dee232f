"""Faults on purpose: real processes that are killed, stopped and cut off, and a checker that misses nothing of it."""
