"""Training is a pause and a little noise; what was trained is written down before Flower gets it."""

import json
import secrets
import time
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """One round's training, and a number for its result."""
    [weights_P] = message.content["arrays"].to_numpy_ndarrays()
    time.sleep(float(context.run_config["train-seconds"]))
    weights_P = weights_P + np.random.default_rng().normal(0, 1e-3, weights_P.shape).astype(np.float32)
    number = secrets.randbits(48)
    fact = {"at": time.time(), "what": "trained", "client": context.node_config["client"], "result": number}
    with Path(context.node_config["events"]).open("a") as file:
        file.write(json.dumps(fact) + "\n")
    metrics = MetricRecord({"num-examples": 1, "result": number})
    content = RecordDict({"arrays": ArrayRecord([weights_P]), "metrics": metrics})
    return Message(content=content, reply_to=message)
