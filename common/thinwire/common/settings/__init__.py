"""Settings: one TOML file for each role, read once, checked whole, frozen afterwards.

`CoordinatorSettings` and `AgentSettings` are the schema: each section is a struct, each key has a default
that works, and the comment above a key is its line in docs/configuration.md. `load` reads a file, `to_toml`
writes one.
"""

from thinwire.common.settings.agent import AgentSettings
from thinwire.common.settings.coordinator import CoordinatorSettings
from thinwire.common.settings.read import load, loads
from thinwire.common.settings.write import to_toml

__all__ = ["AgentSettings", "CoordinatorSettings", "load", "loads", "to_toml"]
