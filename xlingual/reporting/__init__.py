"""Reports of a run: its results, predictions, model card and tokenizer report."""
