"""GPT-2 and its low-rank weights."""
