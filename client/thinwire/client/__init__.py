"""The agent: holds the link, the identity and the outbox of a device, and never a tensor."""
