"""The command `thinwire`: flags to settings, results to text, errors to exit codes; nothing else."""
