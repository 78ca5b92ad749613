"""From a suite file to cells, samples, seeds and fixed batches."""
