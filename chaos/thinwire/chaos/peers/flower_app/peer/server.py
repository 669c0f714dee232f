"""Plain federated averaging that writes down which results it averaged, and goes on from its last checkpoint."""

import json
import time
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

app = ServerApp()


class Counting(FedAvg):
    """FedAvg, and a line for each round."""

    def __init__(self, events: Path, checkpoint: Path) -> None:
        # One client is enough for a round, so that a lost one does not stop the other.
        super().__init__(fraction_evaluate=0.0, min_train_nodes=1, min_available_nodes=1)
        self._events, self._checkpoint = events, checkpoint

    def aggregate_train(self, server_round, replies):
        """Average, write the model down, then say which results are in it."""
        replies = list(replies)
        arrays, metrics = super().aggregate_train(server_round, replies)
        if arrays is not None:
            fresh = self._checkpoint.with_suffix(".new.npy")
            np.save(fresh, arrays.to_numpy_ndarrays()[0])
            fresh.replace(self._checkpoint)
        results = [int(reply.content["metrics"]["result"]) for reply in replies if not reply.has_error()]
        fact = {"at": time.time(), "what": "averaged", "round": server_round, "results": results}
        with self._events.open("a") as file:
            file.write(json.dumps(fact) + "\n")
        return arrays, metrics


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Train until somebody stops it."""
    config = context.run_config
    checkpoint = Path(config["checkpoint"])
    known = checkpoint.exists()
    weights_P = np.load(checkpoint) if known else np.zeros(int(config["parameters"]), np.float32)
    strategy = Counting(Path(config["events"]), checkpoint)
    strategy.start(grid=grid, initial_arrays=ArrayRecord([weights_P]), num_rounds=int(config["rounds"]))
