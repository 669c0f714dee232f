"""A fleet on one machine: coordinator, agents and thin links, each a process of its own."""
