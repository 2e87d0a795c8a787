"""Image encoders and reward classifiers: the only part that imports PyTorch, and only when it is used."""
