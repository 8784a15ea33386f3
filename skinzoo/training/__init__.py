"""From a configuration to a trained run: folders, checkpoints, the loop and what it watches."""
