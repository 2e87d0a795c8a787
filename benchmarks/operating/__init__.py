"""What benchmarks/operator.py measures, one kind of measurement a file, and what they share."""
