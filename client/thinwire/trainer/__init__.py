"""The trainer: one warm child process per task, which owns the parameters, the residual and the device's base."""
