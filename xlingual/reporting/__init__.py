"""Files and words about a run: results, predictions, model card, tokenizer fit."""
