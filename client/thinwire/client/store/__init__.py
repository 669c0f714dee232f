"""The durable part of an agent."""

from thinwire.client.store.reading import Restored
from thinwire.client.store.records import Covered, Included, Joined, Led, Record, Sealed, Settled
from thinwire.client.store.store import Recovery, Store, residual_name

__all__ = [
    "Covered",
    "Included",
    "Joined",
    "Led",
    "Record",
    "Recovery",
    "Restored",
    "Sealed",
    "Settled",
    "Store",
    "residual_name",
]
