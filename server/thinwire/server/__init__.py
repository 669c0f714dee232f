"""The coordinator: admits deltas, folds them into commits, publishes the commits."""
